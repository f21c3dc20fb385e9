//! Limits on clients.

use super::value::{count, size};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::server::ClientLimits;
use crate::config::shape::Shape;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

const CONNECTIONS_MAX: u32 = 1_000_000;
/// Default number of header lines; browsers send about twenty.
const HEADERS: u32 = 100;
/// Most header lines that Pingora parses.
const HEADERS_MAX: u32 = 256;
/// Default length of a target, as in most servers.
const TARGET_BYTES: u64 = 8 << 10;
const TARGET_BYTES_MIN: u64 = 256;
const TARGET_BYTES_MAX: u64 = 1 << 20;
/// Default rate, a hundredth of the slowest phone network.
const MIN_RATE_BYTES: u64 = 500;
const MIN_RATE_BYTES_MAX: u64 = 1 << 20;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsKeys {
    pub connections: Option<Scalar>,
    pub connections_per_address: Option<Scalar>,
    pub headers: Option<Scalar>,
    pub target: Option<Scalar>,
    pub min_rate: Option<Scalar>,
}

impl Shape for LimitsKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "max_header_size" | "header_size" => Some("use `max_header_size` at the top"),
            "header" | "header_timeout" => Some("use `timeouts: { header: … }`"),
            "max_request_body" | "max_response_body" => Some("move it to a service"),
            _ => None,
        }
    }
}

/// The limits; `None` after a problem.
pub fn limits(at: &At<'_>, typed: Option<Mapping>) -> Option<ClientLimits> {
    let keys: LimitsKeys = at.shape(Value::Mapping(typed.unwrap_or_default()));
    let connections = |key, typed: &Option<Scalar>| {
        let read = at.optional(key, typed.as_ref(), count(1..=CONNECTIONS_MAX));
        // A wrong value was reported, and does not count as left out.
        (read.is_some() || typed.is_none()).then_some(read)
    };
    let all = connections("connections", &keys.connections);
    let per_address = connections("connections_per_address", &keys.connections_per_address);
    let headers = count(1..=HEADERS_MAX);
    let headers = at.read("headers", keys.headers.as_ref(), HEADERS, headers);
    let target = size(TARGET_BYTES_MIN..=TARGET_BYTES_MAX);
    let target = at.read("target", keys.target.as_ref(), TARGET_BYTES, target);
    let rate = size(0..=MIN_RATE_BYTES_MAX);
    let rate = at.read("min_rate", keys.min_rate.as_ref(), MIN_RATE_BYTES, rate);
    Some(ClientLimits {
        connections: all?,
        connections_per_address: per_address?,
        headers: headers? as usize,
        target_bytes: target? as usize,
        min_rate_bytes: rate?,
    })
}
