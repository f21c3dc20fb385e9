//! What a service does about replicas that fail its requests.

use super::value::{count, duration, percent};
use crate::config::error::At;
use crate::config::raw;
use crate::config::shape::what;
use crate::service::spec::{OutlierDetection, Retries};
use serde_yaml::Value;

/// Attempts that one request may have.
const ATTEMPTS_MAX: u32 = 16;
const MIN_PER_SECOND_MAX: u32 = 100_000;
const CONSECUTIVE_MAX: u32 = 1000;

pub fn retries(at: &At<'_>, typed: Option<Value>) -> Option<Retries> {
    let default = Retries::default();
    let typed = match typed {
        None => return Some(default),
        Some(typed @ Value::Mapping(_)) => typed,
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                "as in `{ attempts: 4, budget: 20% }`; how often a health check may fail belongs \
                 under `healthcheck`",
            );
            return None;
        }
    };
    let raw: raw::Retries = at.shape(typed);
    let attempts = at.read(
        "attempts",
        raw.attempts.as_ref(),
        default.attempts,
        count(1..=ATTEMPTS_MAX),
    );
    let budget = at.read(
        "budget",
        raw.budget.as_ref(),
        default.budget_percent,
        percent,
    );
    let min_per_second = at.read(
        "min_per_second",
        raw.min_per_second.as_ref(),
        default.min_per_second,
        count(0..=MIN_PER_SECOND_MAX),
    );
    Some(Retries {
        attempts: attempts?,
        budget_percent: budget?,
        min_per_second: min_per_second?,
    })
}

/// The inner `None`: it is off.
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
    let raw: raw::OutlierDetection = at.shape(typed);
    let consecutive = at.read(
        "consecutive_5xx",
        raw.consecutive_5xx.as_ref(),
        default.consecutive_5xx,
        count(1..=CONSECUTIVE_MAX),
    );
    let base = at.read(
        "base_ejection_time",
        raw.base_ejection_time.as_ref(),
        default.base_ejection_time,
        duration,
    );
    let max = at.read(
        "max_ejection_time",
        raw.max_ejection_time.as_ref(),
        default.max_ejection_time,
        duration,
    );
    let max_percent = at.read(
        "max_ejection_percent",
        raw.max_ejection_percent.as_ref(),
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
