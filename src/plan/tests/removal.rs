//! Stops of replicas that are sick, drained, stuck or no longer declared.

use super::picture::{GRACE, check, picture};
use crate::plan::stop::SICK_GRACE;
use crate::plan::{Action, plan};
use std::time::Duration;

#[test]
fn a_sick_replica_is_stopped_at_once_and_its_port_waits_for_it() {
    check(
        picture("8000=sick 8001=ready").wanted(2),
        &["stop 8000: exited with code 137"],
    );
    check(picture("8000=stopping 8001=ready").wanted(2), &[]);
    check(
        picture("8001=ready").wanted(2),
        &["start 8000: 2 replicas are wanted"],
    );
}

#[test]
fn a_sick_replica_gets_half_a_second_and_a_paused_one_none() {
    let grace_of = |words: &str, configured: Duration| {
        let picture = picture(words);
        let mut input = picture.input();
        input.stop_grace_period = configured;
        match plan(&input).actions.first() {
            Some(Action::Stop { grace, .. }) => *grace,
            other => panic!("{words} led to {other:?}"),
        }
    };
    assert_eq!(grace_of("8000=sick", GRACE), SICK_GRACE);
    assert_eq!(SICK_GRACE, Duration::from_millis(500));
    let shorter = Duration::from_millis(200);
    assert_eq!(grace_of("8000=sick", shorter), shorter);
    // SIGTERM does not reach a paused process.
    assert_eq!(grace_of("8000=paused", GRACE), Duration::ZERO);
}

#[test]
fn a_draining_replica_stops_when_empty_or_overdue() {
    check(
        picture("8000=ready 8001=busy"),
        &["- waiting for 2 in flight on 8001, at most 7s"],
    );
    check(
        picture("8000=ready 8001=drained"),
        &["stop 8001: nothing in flight"],
    );
    check(
        picture("8000=ready 8001=overdue"),
        &["stop 8001: 2 still in flight after 10s, the stop grace period"],
    );
}

#[test]
fn a_stop_that_failed_is_repeated_though_the_replica_is_wanted_again() {
    // Nobody knows what it got to hear of the first one, so it cannot come back.
    check(
        picture("8000=ready 8001=stop-failed").wanted(2),
        &["stop 8001: the last attempt to stop the replica failed"],
    );
}

const CANNOT: &str =
    "cannot be removed, so the next free port is used: resource busy; trying again";

#[test]
fn a_removal_that_fails_or_hangs_costs_a_port_and_no_replica() {
    let start = "start 8001: 1 replica is wanted";
    let held = format!("the container on 8000 {CANNOT}");
    check(picture("8000=hangs"), &[start, &format!("- {held}")]);
    let waits = format!("- {held} in 4s");
    check(picture("8000=stuck"), &[start, &waits]);
    check(picture("8000=stuck 8001=ready"), &[&waits]);
    let again = "stop 8000: the last attempt to stop the replica failed";
    let due = format!("- {held}");
    check(picture("8000=stuck-due 8001=ready"), &[again, &due]);
    // Also while the service sleeps, or is gone.
    check(picture("8000=stuck-due").idle_for_long(), &[again, &due]);
    check(picture("8000=stuck-due").removed(), &[again, &due]);
}

#[test]
fn a_service_that_left_the_configuration_drains_and_stops() {
    check(
        picture("8000=ready 8001=starting").removed(),
        &[
            "stop 8001: the service left the configuration",
            "drain 8000: the service left the configuration",
        ],
    );
}
