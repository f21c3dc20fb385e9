//! Forwarding of requests to replicas.

use super::balance::Balance;
use super::outlier::OutlierDetection;
use super::retries::Retries;
use super::upstream::Upstream;
use crate::service::replica::gate::UNLIMITED;
use std::time::Duration;

/// Terms on which requests are forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    pub upstream: Upstream,
    pub balance: Balance,
    /// Time over which the share of a newly ready replica grows; zero: the whole share at once.
    pub slow_start: Duration,
    pub connect_timeout: Duration,
    /// Longest silence while an answer is awaited or read.
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    /// Longest silence of both sides of a WebSocket.
    pub tunnel_idle_timeout: Duration,
    /// Requests that a replica has at once; `None`: no limit.
    pub container_concurrency: Option<u32>,
    pub max_request_body_bytes: u64,
    /// `None`: no limit.
    pub max_response_body_bytes: Option<u64>,
    /// Longest wait of a request for a replica; zero: no wait.
    pub hold_timeout: Duration,
    /// Requests that may wait at once.
    pub hold_max: u64,
    /// Whether browsers get a page that reloads itself, instead of waiting.
    pub waiting_page: bool,
    pub retries: Retries,
    /// `None`: no replica is ejected because of its answers.
    pub outlier_detection: Option<OutlierDetection>,
}

impl Forward {
    /// Requests that a replica has at once, for its gate.
    pub fn limit(&self) -> u64 {
        self.container_concurrency.map_or(UNLIMITED, u64::from)
    }
}

impl Default for Forward {
    fn default() -> Self {
        Forward {
            upstream: Upstream::default(),
            balance: Balance::default(),
            slow_start: Duration::ZERO,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            tunnel_idle_timeout: Duration::from_secs(60 * 60),
            container_concurrency: None,
            max_request_body_bytes: 100 << 20,
            max_response_body_bytes: None,
            hold_timeout: Duration::from_secs(10),
            hold_max: 1000,
            waiting_page: false,
            retries: Retries::default(),
            outlier_detection: Some(OutlierDetection::default()),
        }
    }
}
