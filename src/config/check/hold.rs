//! Requests that wait for a replica, and the page that their clients see.

use super::value::{boolean, count, maybe_zero_duration};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::time::Duration;

/// Most waiting requests, each with a connection and its buffers.
const HELD_MAX: u32 = 100_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldKeys {
    pub timeout: Option<Scalar>,
    pub max: Option<Scalar>,
}

impl Shape for HoldKeys {}

/// Timeout and number of waiting requests.
pub fn hold(
    at: &At<'_>,
    typed: Option<Mapping>,
    timeout: Duration,
    max: u64,
) -> (Option<Duration>, Option<u64>) {
    let keys: HoldKeys = at.shape(Value::Mapping(typed.unwrap_or_default()));
    let timeout = at.read(
        "timeout",
        keys.timeout.as_ref(),
        timeout,
        maybe_zero_duration,
    );
    let max = at.read("max", keys.max.as_ref(), max as u32, count(1..=HELD_MAX));
    (timeout, max.map(u64::from))
}

/// Whether browsers get a waiting page.
pub fn waiting_page(at: &At<'_>, typed: Option<&Scalar>) -> Option<bool> {
    at.read("waiting_page", typed, false, boolean)
}
