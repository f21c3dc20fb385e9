//! Old templates make way for new ones.

use super::picture::{check, picture};
use crate::service::spec::LAST_PORT;

#[test]
fn a_draining_replica_that_is_wanted_again_returns() {
    check(
        picture("8000=ready 8001=busy").wanted(2),
        &["return 8001: 2 replicas are wanted"],
    );
}

#[test]
fn an_old_template_is_replaced_one_by_one_with_one_ahead() {
    let surge = "start 8002: one extra while 2 are replaced";
    let waits = "- waiting for a replacement to be ready: 2 of 3 are";
    let old = "being replaced";
    for (words, expected) in [
        ("8000=old 8001=old", [surge, waits]),
        (
            "8000=old 8001=old 8002=ready",
            [&format!("drain 8001: {old}"), waits],
        ),
        (
            "8000=old 8001=old-drained 8002=ready",
            ["stop 8001: nothing in flight", waits],
        ),
        (
            "8000=old 8002=ready",
            ["start 8001: 2 replicas are wanted", waits],
        ),
        (
            "8000=old 8001=ready 8002=ready",
            [&format!("drain 8000: {old}"), ""],
        ),
        (
            "8001=ready 8002=ready",
            ["start 8000: 2 replicas are wanted", waits],
        ),
        (
            "8000=ready 8001=ready 8002=ready",
            ["drain 8002: only 2 wanted", ""],
        ),
    ] {
        let expected: Vec<&str> = expected
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        check(picture(words).wanted(2), &expected);
    }
}

#[test]
fn several_at_a_time_go_with_as_many_ahead() {
    check(
        picture("8000=old 8001=old 8002=old").wanted(3).at_a_time(2),
        &[
            "start 8003: one extra while 3 are replaced",
            "start 8004: one extra while 3 are replaced",
            "- waiting for a replacement to be ready: 3 of 4 are",
        ],
    );
    check(
        picture("8000=old 8001=old 8002=old 8003=ready 8004=ready")
            .wanted(3)
            .at_a_time(2),
        &[
            "drain 8002: being replaced",
            "drain 8001: being replaced",
            "- waiting for a replacement to be ready: 3 of 4 are",
        ],
    );
}

#[test]
fn stop_first_replaces_in_place_and_never_misses_more_than_a_batch() {
    for (words, expected) in [
        (
            "8000=old 8001=old",
            [
                "drain 8001: being replaced",
                "- waiting for a replacement to be ready: 1 of 2 are",
            ],
        ),
        (
            "8000=old",
            [
                "start 8001: 2 replicas are wanted",
                "- waiting for a replacement to be ready: 1 of 2 are",
            ],
        ),
        (
            "8000=old 8001=starting",
            ["- waiting for a replacement to be ready: 1 of 2 are", ""],
        ),
        ("8000=old 8001=ready", ["drain 8000: being replaced", ""]),
    ] {
        let expected: Vec<&str> = expected
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect();
        check(picture(words).wanted(2).stop_first(), &expected);
    }
    // One alone makes way as well.
    check(
        picture("8000=old").stop_first(),
        &["drain 8000: being replaced"],
    );
}

#[test]
fn without_a_port_to_start_ahead_an_old_one_makes_room() {
    let mut full = picture("65535=old");
    full.first_slot = LAST_PORT;
    check(full, &["drain 65535: being replaced"]);
}

#[test]
fn the_plan_names_missing_ports_only_when_they_are_missing() {
    let start = "start 65535: 2 replicas are wanted";
    let none_left = "- no port is free from 65535 to 65535; free one or choose another first_port";
    let mut short = picture("").wanted(2);
    short.first_slot = LAST_PORT;
    check(short, &[start, none_left]);
    let mut exact = picture("").wanted(1);
    exact.first_slot = LAST_PORT;
    check(exact, &["start 65535: 1 replica is wanted"]);
}

#[test]
fn what_is_new_is_watched_before_anything_old_leaves() {
    check(
        picture("8000=old 8001=ready").watched_for(3),
        &["- watching the new replicas for 3s more before old ones leave"],
    );
    // Surplus replicas leave all the same.
    check(
        picture("8000=ready 8001=ready").watched_for(3),
        &["drain 8001: only 1 wanted"],
    );
}
