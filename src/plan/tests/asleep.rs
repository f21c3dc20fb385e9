//! A service that sleeps, and its waking.

use super::picture::{check, picture};

#[test]
fn a_service_that_nobody_asks_for_is_paused_and_then_stopped() {
    check(
        picture("8000=ready 8001=ready").idle(),
        &[
            "pause 8000: no request for 5m",
            "pause 8001: no request for 5m",
        ],
    );
    let waits = "- 1 paused: woken by a request, or stopped in 10m";
    check(
        picture("8000=asleep 8001=starting 8002=busy").idle(),
        &["- waiting for 2 in flight on 8002, at most 7s", waits],
    );
    check(picture("8000=falling-asleep").idle(), &[waits]);
    check(
        picture("8000=asleep 8001=ready 8002=starting 8003=falling-asleep 8004=drained")
            .idle_for_long(),
        &[
            "stop 8000: no request for 15m",
            "drain 8001: no request for 15m",
            "stop 8002: no request for 15m",
            "stop 8004: nothing in flight",
        ],
    );
}

#[test]
fn nothing_is_started_or_replaced_for_a_service_that_sleeps() {
    check(picture("").idle(), &[]);
    check(
        picture("8000=sick 8001=unwell 8002=old 8003=old-asleep").idle(),
        &[
            "stop 8000: exited with code 137",
            "stop 8001: unhealthy: answered 500",
            "drain 8002: being replaced",
            "stop 8003: being replaced",
        ],
    );
}

#[test]
fn a_waking_service_resumes_what_is_wanted_and_lets_the_rest_go() {
    check(
        picture("8000=asleep 8001=asleep").wanted(1),
        &[
            "resume 8000: 1 replica is wanted",
            "stop 8001: only 1 wanted",
        ],
    );
    check(
        picture("8000=asleep").wanted(2),
        &[
            "resume 8000: 2 replicas are wanted",
            "start 8001: 2 replicas are wanted",
        ],
    );
    check(picture("8000=falling-asleep").wanted(1), &[]);
    check(
        picture("8000=old-asleep").wanted(1),
        &["stop 8000: being replaced"],
    );
    check(
        picture("8000=asleep").removed(),
        &["stop 8000: the service left the configuration"],
    );
}

#[test]
fn a_replica_that_was_paused_in_use_finishes_its_requests_before_it_is_stopped() {
    let resumed = "resume 8001: paused with 2 in flight";
    for (words, expected) in [
        ("8000=ready 8001=frozen", resumed),
        ("8000=ready 8001=old-frozen", resumed),
        (
            "8000=ready 8001=resumed",
            "- waiting for 2 in flight on 8001, at most 7s",
        ),
        (
            "8000=ready 8001=long-resumed",
            "stop 8001: 2 still in flight after 10s, the stop grace period",
        ),
    ] {
        check(picture(words).wanted(1), &[expected]);
    }
    check(picture("8001=frozen").idle(), &[resumed]);
    check(picture("8001=resumed").idle(), &[]);
    check(picture("8001=frozen").idle_for_long(), &[resumed]);
    check(
        picture("8001=old-resumed").idle_for_long(),
        &["- waiting for 2 in flight on 8001, at most 7s"],
    );
}
