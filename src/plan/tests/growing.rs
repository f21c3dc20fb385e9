//! As many replicas as are wanted, on the lowest free slots.

use super::picture::{check, picture};

#[test]
fn the_first_replica_starts_on_the_first_port() {
    check(picture(""), &["start 8000: 1 replica is wanted"]);
}

#[test]
fn growing_takes_the_next_ports_and_starts_nothing_twice() {
    let after = picture("8000=ready 8001=pending 8002=starting").wanted(4);
    check(after, &["start 8003: 4 replicas are wanted"]);
}

#[test]
fn a_port_that_somebody_else_holds_is_skipped() {
    let after = picture("8000=ready 8001=taken").wanted(2);
    check(after, &["start 8002: 2 replicas are wanted"]);
}

#[test]
fn shrinking_drains_the_highest_ports_first() {
    check(
        picture("8000=ready 8001=ready 8002=ready").wanted(1),
        &["drain 8002: only 1 wanted", "drain 8001: only 1 wanted"],
    );
}

#[test]
fn a_ready_replica_is_kept_until_enough_others_are_ready() {
    // 8000 was lost and comes back; until then 8001 is the only one there is.
    check(
        picture("8000=starting 8001=ready").wanted(1),
        &["- waiting for a replacement to be ready: 1 of 2 are"],
    );
}
