//! Changes that a reload makes.

use super::{good, web};
use crate::config::diff;

fn check(old: &str, new: &str, expected: &str) {
    assert_eq!(diff(&good(old), &good(new)).to_string(), expected);
}

const OLD: &str = "
services:
  acts: {image: acts, routes: [path: /api]}
  legacy: {addresses: [10.0.0.7:80], routes: [path: /old]}
";

#[test]
fn the_same_text_changes_nothing() {
    check(OLD, OLD, "nothing changed");
}

#[test]
fn what_changed_is_named_by_service() {
    let changed =
        |from: &str, to: &str, expected: &str| check(OLD, &OLD.replace(from, to), expected);
    changed(
        "image: acts",
        "image: acts:2",
        "1 service changed: acts (image)",
    );
    changed(
        "image: acts",
        "image: acts, cpus: 1, memory: 1GiB, environment: {A: b}, volumes: [\"a:/b\"], user: me",
        "1 service changed: acts (environment, volumes, user, cpus, memory)",
    );
    changed(
        "image: acts",
        "image: acts, first_port: 9",
        "1 service changed: acts (first_port)",
    );
    changed("/old", "/older", "1 service changed: legacy (routes)");
    changed(
        "image: acts",
        "image: acts, scale: {max: 2}",
        "1 service changed: acts (scale)",
    );
    changed(
        "image: acts",
        "image: acts, scale: {requests_per_replica: 2}",
        "1 service changed: acts (scale)",
    );
    changed(
        "10.0.0.7:80",
        "10.0.0.7:80, 10.0.0.8:80",
        "1 service changed: legacy (addresses)",
    );
    changed(
        "10.0.0.7:80]",
        "10.0.0.7:80], healthcheck: {type: http}, read_timeout: 1s, stop_grace_period: 1s, plugins: [clock]",
        "1 service changed: legacy (healthcheck, requests' limits and retries, stop_grace_period, plugins)",
    );
    let both = OLD
        .replace("/api", "/v2")
        .replace("image: acts", "image: b");
    check(
        OLD,
        &both.replace("/old", "/older"),
        "2 services changed: acts (image, routes), legacy (routes)",
    );
}

#[test]
fn services_come_and_go() {
    let new = "services: {acts: {addresses: [1.1.1.1:1]}}";
    check(
        OLD,
        new,
        "1 service added: acts; 2 services removed: acts, legacy",
    );
}

#[test]
fn what_waits_for_a_restart_is_said() {
    let top = "listen: [1.1.1.1:1]\nadmin: off\ninstance: b\nstate_dir: /b\nthreads: 77\n";
    check(
        &web(""),
        &format!("{top}{}", web("")),
        "only a restart changes listen, admin, instance, state_dir, threads",
    );
    check(
        &web(""),
        &format!("max_header_size: 2k\nplugins: [clock]\n{}", web("")),
        "plugins changed; timeouts or limits changed",
    );
}
