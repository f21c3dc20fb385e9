//! `retries` and `outlier_detection`.

use super::{check, good, spec, web};
use crate::service::spec::{OutlierDetection, Retries};
use std::time::Duration;

#[test]
fn what_is_left_out_has_its_default() {
    let forward = spec(&web("")).forward;
    assert_eq!(forward.retries, Retries::default());
    assert_eq!(forward.outlier_detection, Some(OutlierDetection::default()));
    let partly = spec(&web(
        "retries: {attempts: 2}\noutlier_detection: {consecutive_5xx: 3}",
    ));
    let expected = Retries {
        attempts: 2,
        ..Retries::default()
    };
    assert_eq!(partly.forward.retries, expected);
    let terms = partly.forward.outlier_detection.unwrap();
    assert_eq!((terms.consecutive_5xx, terms.max_ejection_percent), (3, 50));
}

#[test]
fn every_key_is_read() {
    let forward = spec(&web("
retries: {attempts: 1, budget: 50%, min_per_second: 0}
outlier_detection:
  consecutive_5xx: 10
  base_ejection_time: 1m
  max_ejection_time: 10m
  max_ejection_percent: 100%
"))
    .forward;
    let retries = Retries {
        attempts: 1,
        budget_percent: 50,
        min_per_second: 0,
    };
    assert_eq!(forward.retries, retries);
    let terms = OutlierDetection {
        consecutive_5xx: 10,
        base_ejection_time: Duration::from_secs(60),
        max_ejection_time: Duration::from_secs(600),
        max_ejection_percent: 100,
    };
    assert_eq!(forward.outlier_detection, Some(terms));
}

#[test]
fn outlier_detection_may_be_off() {
    for off in ["off", "'off'", "false"] {
        let config = good(&web(&format!("outlier_detection: {off}")));
        let spec = &config.services[0].spec;
        assert_eq!(spec.forward.outlier_detection, None, "{off}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    check(
        &web("
retries: 3
outlier_detection: 5
"),
        "
        edge.yaml:4: services.web.retries: expected a mapping, found `3`
          hint: as in `{ attempts: 4, budget: 20% }`; how often a health check may fail belongs under `healthcheck`
        edge.yaml:5: services.web.outlier_detection: expected a mapping or `off`, found `5`
          hint: as in `{ consecutive_5xx: 5 }`
        ",
    );
    check(
        &web("
retries: {attempts: 0, budget: 20, min_per_second: -1}
outlier_detection: {max_ejection_percent: 101%, interval: 1s}
"),
        "
        edge.yaml:4: services.web.retries.attempts: expected a whole number from 1 to 16, found `0`
        edge.yaml:4: services.web.retries.budget: expected a percentage from 0% to 100%, found `20`
          hint: write `20%`
        edge.yaml:4: services.web.retries.min_per_second: expected a whole number from 0 to 100000, found `-1`
        edge.yaml:5: services.web.outlier_detection: unknown key `interval`
          hint: move it under `healthcheck`
        edge.yaml:5: services.web.outlier_detection.max_ejection_percent: expected a percentage from 0% to 100%, found `101%`
        ",
    );
    check(
        &web("outlier_detection: {base_ejection_time: 10m}"),
        "
        edge.yaml:4: services.web.outlier_detection: `max_ejection_time` is shorter than `base_ejection_time`
          hint: raise the one, or lower the other
        ",
    );
}
