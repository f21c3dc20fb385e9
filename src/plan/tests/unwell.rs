//! Replicas that fail their health check and may recover.

use super::picture::{check, picture};
use crate::plan::plan;

#[test]
fn one_that_is_unwell_is_replaced_at_once() {
    for words in ["8000=unwell", "8000=unwell 8001=ready 8002=ready"] {
        let wanted = words.split(' ').count() as u32;
        check(
            picture(words).wanted(wanted),
            &["stop 8000: unhealthy: answered 500"],
        );
    }
}

#[test]
fn several_that_are_unwell_wait_until_it_has_shown_that_others_are_well() {
    let waits = |slot| {
        format!(
            "- {slot} fails its health check and waits: one is replaced at a time while none is \
             healthy"
        )
    };
    check(
        picture("8000=unwell 8001=unwell 8002=ready").wanted(3),
        &["stop 8000: unhealthy: answered 500", &waits(8001)],
    );
    check(
        picture("8000=starting 8001=long-unwell 8002=ready").wanted(3),
        &["stop 8001: unhealthy: answered 500"],
    );
    check(
        picture("8000=starting 8001=long-unwell 8002=long-unwell").wanted(3),
        &[&waits(8001), &waits(8002)],
    );
    // A replacement that could not be started is no reason to end what still answers.
    let held_back = plan(
        &picture("8000=long-unwell 8001=long-unwell")
            .wanted(2)
            .failed(3)
            .input(),
    );
    assert_eq!(held_back.actions, []);
}

#[test]
fn while_none_is_ready_the_one_that_was_ahead_may_be_the_first() {
    // The old one on 8000 died; 8001 was to replace it.
    check(
        picture("8001=starting").wanted(1),
        &["start 8000: 1 replica is wanted"],
    );
    check(
        picture("8000=ready 8001=starting").wanted(1),
        &["stop 8001: only 1 wanted"],
    );
}
