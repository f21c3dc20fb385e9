//! Ejection of replicas because of their answers.

use super::value::{count, duration, percent};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use crate::service::spec::OutlierDetection;
use serde::Deserialize;
use serde_yaml::Value;

const CONSECUTIVE_MAX: u32 = 1000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutlierKeys {
    pub consecutive_5xx: Option<Scalar>,
    pub base_ejection_time: Option<Scalar>,
    pub max_ejection_time: Option<Scalar>,
    pub max_ejection_percent: Option<Scalar>,
}

impl Shape for OutlierKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "interval" | "timeout" | "retries" | "start_period" => {
                Some("move it under `healthcheck`")
            }
            _ => None,
        }
    }
}

/// The terms; the inner `None`: off.
pub fn outlier_detection(at: &At<'_>, typed: Option<Value>) -> Option<Option<OutlierDetection>> {
    let default = OutlierDetection::default();
    let typed = match typed {
        None => return Some(Some(default)),
        // YAML 1.1 takes the word for a boolean.
        Some(Value::Bool(false)) => return Some(None),
        Some(Value::String(word)) if word == "off" => return Some(None),
        Some(typed @ Value::Mapping(_)) => typed,
        Some(other) => {
            at.error_hint(
                format!("expected a mapping or `off`, found {}", what(&other)),
                "as in `{ consecutive_5xx: 5 }`",
            );
            return None;
        }
    };
    let keys: OutlierKeys = at.shape(typed);
    let consecutive = at.read(
        "consecutive_5xx",
        keys.consecutive_5xx.as_ref(),
        default.consecutive_5xx,
        count(1..=CONSECUTIVE_MAX),
    );
    let base = at.read(
        "base_ejection_time",
        keys.base_ejection_time.as_ref(),
        default.base_ejection_time,
        duration,
    );
    let max = at.read(
        "max_ejection_time",
        keys.max_ejection_time.as_ref(),
        default.max_ejection_time,
        duration,
    );
    let max_percent = at.read(
        "max_ejection_percent",
        keys.max_ejection_percent.as_ref(),
        default.max_ejection_percent,
        percent,
    );
    let terms = OutlierDetection {
        consecutive_5xx: consecutive?,
        base_ejection_time: base?,
        max_ejection_time: max?,
        max_ejection_percent: max_percent?,
    };
    if terms.max_ejection_time < terms.base_ejection_time {
        at.error_hint(
            "`max_ejection_time` is shorter than `base_ejection_time`",
            "raise the one, or lower the other",
        );
        return None;
    }
    Some(Some(terms))
}
