//! Scaling of a service that says little or nothing about it.

use super::super::{Config, Flags, Overrides, load};
use super::{env, text, web};
use crate::service::spec::Bounds;
use crate::service::store::store;

/// The configuration, with the plugins that there are.
fn loaded(yaml: &str, flags: Flags) -> Config {
    let registry = crate::plugins::standard();
    let overrides = Overrides::new(flags, env());
    let loaded = load(&text(yaml), &overrides, &registry, store().1, None);
    loaded.unwrap_or_else(|problems| panic!("{problems}\nin\n{yaml}"))
}

fn scaling(config: &Config) -> (&str, Bounds) {
    let service = &config.services[0];
    (&service.scaler_plugins[0].name, service.spec.bounds)
}

#[test]
fn a_service_scales_by_the_requests_at_work_unless_the_file_says_otherwise() {
    for (keys, policy, min, max) in [
        ("", "concurrency", 1, 4),
        ("scale: {}", "concurrency", 1, 4),
        ("scale: {min: 2, spare: 1}", "concurrency", 2, 4),
        ("scale: {max: 8}", "concurrency", 1, 8),
        ("scale: {target: 3}", "concurrency", 1, 4),
        ("scale: {idle_timeout: 5m}", "concurrency", 0, 4),
        ("container_concurrency: 2", "concurrency", 1, 4),
        ("scale: {interval: 60s}", "requests", 1, 10),
        ("scale: {requests_per_replica: 5}", "requests", 1, 10),
        ("scale: {exclude: [/up]}", "requests", 1, 10),
        ("scale: {policy: requests}", "requests", 1, 10),
        ("scale: {policy: rps}", "rps", 1, 10),
        ("scale: {policies: [cpu, rps]}", "cpu", 1, 10),
    ] {
        let config = loaded(&web(keys), Flags::default());
        assert_eq!(scaling(&config), (policy, Bounds { min, max }), "{keys}");
    }
    let target = |keys: &str| {
        let config = loaded(&web(keys), Flags::default());
        config.services[0].scaler_plugins[0]
            .values
            .get("target")
            .cloned()
    };
    assert_eq!(target("container_concurrency: 2"), Some(2.into()));
    assert_eq!(
        target("container_concurrency: 2\nscale: {interval: 60s}"),
        None
    );
}

#[test]
fn without_a_file_the_rule_of_two_minutes_decides() {
    let flags = Flags {
        image: Some("web".to_owned()),
        ..Flags::default()
    };
    let bounds = Bounds { min: 1, max: 10 };
    assert_eq!(scaling(&loaded("", flags)), ("requests", bounds));
    let acts = include_str!("../../../conf/acts.yaml");
    assert_eq!(
        scaling(&loaded(acts, Flags::default())),
        ("requests", bounds)
    );
}
