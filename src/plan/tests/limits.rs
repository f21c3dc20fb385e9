//! Starts that wait: for other starts, an image, a brake or the engine.

use super::picture::{NOW, check, picture};
use crate::plan::ImageStatus;
use crate::service::time::Human;
use std::time::Duration;

#[test]
fn a_start_that_hangs_costs_a_port_only_while_nothing_is_ready() {
    let start = "start 8001: 1 replica is wanted";
    check(
        picture("8000=hanging").no_starts_left(),
        &["- waiting for other starts to finish"],
    );
    check(picture("8000=hanging").starts_left(0), &[start]);
    check(picture("8000=hanging 8001=pending").starts_left(0), &[]);
    check(picture("8000=hanging 8001=ready").wanted(2), &[]);
    let waits = "- waiting for other starts to finish";
    check(
        picture("8000=hanging 8001=hanging").starts_left(0),
        &[waits],
    );
    let mut in_a_row = picture("8000=hanging").starts_left(0);
    in_a_row.backoff.failed(0, NOW - Duration::from_secs(100));
    in_a_row.backoff.failed(0, NOW - Duration::from_secs(100));
    check(in_a_row, &[start]);
}

#[test]
fn one_start_is_kept_for_a_service_with_nothing_ready_and_nothing_on_its_way() {
    let waits = "- waiting for other starts to finish";
    check(
        picture("").wanted(2).starts_left(0),
        &["start 8000: 2 replicas are wanted", waits],
    );
    check(picture("8000=pending").wanted(2).starts_left(0), &[waits]);
    check(picture("8000=starting").wanted(2).starts_left(0), &[waits]);
    check(picture("8000=ready").wanted(2).starts_left(0), &[waits]);
}

#[test]
fn nothing_starts_before_its_image_is_here() {
    let coming = || ImageStatus::Coming {
        name: "web:2".to_owned(),
        since: NOW - Duration::from_secs(12),
    };
    let pulling = "- pulling web:2, since 12s ago";
    check(
        picture("").wanted(3).image(ImageStatus::Unknown),
        &["fetch the image for 8000"],
    );
    check(picture("").wanted(3).image(coming()), &[pulling]);
    // Running replicas stay meanwhile, also where one would have to make room.
    let old = || picture("8000=old").stop_first();
    check(
        old().image(ImageStatus::Unknown),
        &["fetch the image for 8000"],
    );
    check(old().image(coming()), &[pulling]);
    check(old(), &["drain 8000: being replaced"]);
    // The request that wakes a service should not have to wait for a pull.
    check(
        picture("").idle_for_long().image(ImageStatus::Unknown),
        &["fetch the image for 8000"],
    );
}

#[test]
fn starts_are_held_back_by_the_hosts_limit_and_by_failures() {
    check(
        picture("").wanted(3).starts_left(1),
        &[
            "start 8000: 3 replicas are wanted",
            "- waiting for other starts to finish",
        ],
    );
    let failed = picture("").failed(3);
    let left = failed.backoff.until(NOW).expect("it waits").since(NOW);
    let waits = format!(
        "- waiting {} before the next start: 3 failures in a row",
        Human(left)
    );
    check(failed, &[&waits]);
}

#[test]
fn nothing_is_done_while_the_engine_is_away() {
    check(
        picture("8000=sick").engine_down(),
        &["- the container engine does not answer; waiting for it"],
    );
}
