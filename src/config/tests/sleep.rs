use super::*;
use crate::service::spec::{Bounds, SleepTerms};
use std::time::Duration;

#[test]
fn a_service_sleeps_only_when_it_is_told_when() {
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let plain = spec(&web(""));
    assert_eq!((plain.sleep, plain.spare), (None, 0));
    assert!(!plain.forward.waiting_page);
    let asleep = spec(&web(
        "waiting_page: true\nscale: {min: 0, idle_timeout: 5m, spare: 2}",
    ));
    let terms = SleepTerms {
        idle_timeout: minutes(5),
        stop_after: minutes(10),
    };
    assert_eq!((asleep.sleep, asleep.spare), (Some(terms), 2));
    assert_eq!(asleep.bounds, Bounds { min: 0, max: 10 });
    assert!(asleep.forward.waiting_page);
    let unpaused = spec(&web("scale: {idle_timeout: 5m, stop_after: 0s}"));
    assert_eq!(unpaused.bounds.min, 0, "what sleeps may have none");
    assert_eq!(unpaused.sleep.unwrap().stop_after, Duration::ZERO);
}

#[test]
fn what_does_not_fit_together_is_explained() {
    for (keys, problem) in [
        (
            "scale: {min: 0}",
            "
            edge.yaml:4: services.web.scale.min: is 0, and `idle_timeout` is missing
              hint: add `idle_timeout: 5m`, or set `min` to at least 1
            ",
        ),
        (
            "scale: {min: 2, idle_timeout: 5m}",
            "
            edge.yaml:4: services.web.scale: `min` is 2, so the service never sleeps, but `idle_timeout` is set
              hint: set `min` to 0, or remove `idle_timeout`
            ",
        ),
        (
            "scale: {stop_after: 5m}",
            "
            edge.yaml:4: services.web.scale.stop_after: needs `idle_timeout`, which is missing
              hint: add `idle_timeout: 5m`, or remove it
            ",
        ),
        (
            "waiting_page: maybe",
            "
            edge.yaml:4: services.web.waiting_page: expected `true` or `false`, found `maybe`
            ",
        ),
        (
            "idle_timeout: 5m",
            "
            edge.yaml:4: services.web: unknown key `idle_timeout`
              hint: move it under `scale`
            ",
        ),
    ] {
        check(&web(keys), problem);
    }
}
