//! Retries of requests that a replica failed.

use super::value::{count, percent};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use crate::service::spec::Retries;
use serde::Deserialize;
use serde_yaml::Value;

/// Most attempts of one request.
const ATTEMPTS_MAX: u32 = 16;
const MIN_PER_SECOND_MAX: u32 = 100_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetriesKeys {
    pub attempts: Option<Scalar>,
    pub budget: Option<Scalar>,
    pub min_per_second: Option<Scalar>,
}

impl Shape for RetriesKeys {}

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
    let keys: RetriesKeys = at.shape(typed);
    let attempts = at.read(
        "attempts",
        keys.attempts.as_ref(),
        default.attempts,
        count(1..=ATTEMPTS_MAX),
    );
    let budget = at.read(
        "budget",
        keys.budget.as_ref(),
        default.budget_percent,
        percent,
    );
    let min_per_second = at.read(
        "min_per_second",
        keys.min_per_second.as_ref(),
        default.min_per_second,
        count(0..=MIN_PER_SECOND_MAX),
    );
    Some(Retries {
        attempts: attempts?,
        budget_percent: budget?,
        min_per_second: min_per_second?,
    })
}
