//! Requests that wait for a replica, and what their clients see meanwhile.

use super::value::{ValueError, count, maybe_zero_duration};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::time::Duration;

/// Each waiting request keeps a connection and its buffers.
const HELD_MAX: u32 = 100_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldKeys {
    pub timeout: Option<Scalar>,
    pub max: Option<Scalar>,
}

impl Shape for HoldKeys {}

/// How long requests wait, and how many at once.
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

/// `true` or `false`.
pub fn waiting_page(at: &At<'_>, typed: Option<&Scalar>) -> Option<bool> {
    at.read("waiting_page", typed, false, |typed| match typed {
        Scalar::Bool(shown) => Ok(*shown),
        other => Err(ValueError::new(format!(
            "expected `true` or `false`, found `{other}`"
        ))),
    })
}
