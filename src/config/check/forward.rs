//! Forwarding of requests to replicas.

use super::balance::{balance, slow_start};
use super::concurrency::container_concurrency;
use super::hold::{hold, waiting_page};
use super::outlier::outlier_detection;
use super::retries::retries;
use super::upstream::upstream;
use super::value::{duration, size};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::service::spec::Forward;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

const BODY_BYTES_MAX: u64 = 1 << 40;

/// The keys of a service about forwarding.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForwardKeys {
    /// A word, or a mapping with the key to hash.
    pub balance: Option<Value>,
    pub protocol: Option<Scalar>,
    /// A mapping, or `true`.
    pub upstream_tls: Option<Value>,
    pub slow_start: Option<Scalar>,
    pub container_concurrency: Option<Scalar>,
    pub connect_timeout: Option<Scalar>,
    pub read_timeout: Option<Scalar>,
    pub write_timeout: Option<Scalar>,
    pub tunnel_idle_timeout: Option<Scalar>,
    pub max_request_body: Option<Scalar>,
    pub max_response_body: Option<Scalar>,
    pub hold: Option<Mapping>,
    pub waiting_page: Option<Scalar>,
    pub retries: Option<Value>,
    /// A mapping, or `off`.
    pub outlier_detection: Option<Value>,
}

impl Shape for ForwardKeys {}

/// The terms of forwarding; `None` after a problem.
pub fn forward(at: &At<'_>, keys: ForwardKeys) -> Option<Forward> {
    let default = Forward::default();
    let connect = at.read(
        "connect_timeout",
        keys.connect_timeout.as_ref(),
        default.connect_timeout,
        duration,
    );
    let read = at.read(
        "read_timeout",
        keys.read_timeout.as_ref(),
        default.read_timeout,
        duration,
    );
    let write = at.read(
        "write_timeout",
        keys.write_timeout.as_ref(),
        default.write_timeout,
        duration,
    );
    let tunnel_idle = at.read(
        "tunnel_idle_timeout",
        keys.tunnel_idle_timeout.as_ref(),
        default.tunnel_idle_timeout,
        duration,
    );
    let upstream = upstream(at, keys.protocol.as_ref(), keys.upstream_tls);
    let balance = balance(&at.key("balance"), keys.balance);
    let slow_start = slow_start(at, keys.slow_start.as_ref(), balance.as_ref());
    let limit = container_concurrency(at, keys.container_concurrency.as_ref());
    let body = at.read(
        "max_request_body",
        keys.max_request_body.as_ref(),
        default.max_request_body_bytes,
        size(1..=BODY_BYTES_MAX),
    );
    let answer = at.optional(
        "max_response_body",
        keys.max_response_body.as_ref(),
        size(1..=BODY_BYTES_MAX),
    );
    let is_answer_wrong = answer.is_none() && keys.max_response_body.is_some();
    let (hold_timeout, hold_max) = hold(
        &at.key("hold"),
        keys.hold,
        default.hold_timeout,
        default.hold_max,
    );
    let waiting_page = waiting_page(at, keys.waiting_page.as_ref());
    let retries = retries(&at.key("retries"), keys.retries);
    let outlier_detection = outlier_detection(&at.key("outlier_detection"), keys.outlier_detection);
    Some(Forward {
        upstream: upstream?,
        balance: balance?,
        slow_start: slow_start?,
        connect_timeout: connect?,
        read_timeout: read?,
        write_timeout: write?,
        tunnel_idle_timeout: tunnel_idle?,
        container_concurrency: limit?,
        max_request_body_bytes: body?,
        max_response_body_bytes: if is_answer_wrong { None? } else { answer },
        hold_timeout: hold_timeout?,
        hold_max: hold_max?,
        waiting_page: waiting_page?,
        retries: retries?,
        outlier_detection: outlier_detection?,
    })
}
