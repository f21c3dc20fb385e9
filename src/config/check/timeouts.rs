//! Timeouts of clients' connections, and of the drain.

use super::value::duration;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::time::Duration;

/// Time for a head of a packet or two, with a few retransmissions.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutsKeys {
    pub header: Option<Scalar>,
    pub keepalive: Option<Scalar>,
    pub client_read: Option<Scalar>,
    pub client_write: Option<Scalar>,
    pub drain: Option<Scalar>,
}

impl Shape for TimeoutsKeys {}

/// Checked timeouts.
pub struct Timeouts {
    pub header: Duration,
    pub keepalive: Duration,
    pub client_read: Duration,
    pub client_write: Duration,
    pub drain: Duration,
}

/// The timeouts; `None` after a problem.
pub fn timeouts(at: &At<'_>, typed: Option<Mapping>) -> Option<Timeouts> {
    let keys: TimeoutsKeys = at.shape(Value::Mapping(typed.unwrap_or_default()));
    let timeout = |key, typed: &Option<Scalar>| at.read(key, typed.as_ref(), TIMEOUT, duration);
    let header = at.read("header", keys.header.as_ref(), HEADER_TIMEOUT, duration);
    let keepalive = timeout("keepalive", &keys.keepalive);
    let client_read = timeout("client_read", &keys.client_read);
    let client_write = timeout("client_write", &keys.client_write);
    let drain = timeout("drain", &keys.drain);
    Some(Timeouts {
        header: header?,
        keepalive: keepalive?,
        client_read: client_read?,
        client_write: client_write?,
        drain: drain?,
    })
}
