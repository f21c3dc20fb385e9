//! How requests are passed on to replicas.

use super::balance::Balance;
use super::outlier::OutlierDetection;
use super::retries::Retries;
use crate::service::replica::gate::UNLIMITED;
use std::time::Duration;

/// How requests are passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    pub balance: Balance,
    /// How long it takes a replica that has become ready to get its whole share; zero: no time.
    pub slow_start: Duration,
    pub connect_timeout: Duration,
    /// The longest silence while an answer is awaited or read.
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    /// The longest silence on both sides of a WebSocket.
    pub tunnel_idle_timeout: Duration,
    /// How many requests a replica has at once; `None`: as many as come.
    pub container_concurrency: Option<u32>,
    pub max_request_body_bytes: u64,
    /// `None`: answers may be of any size.
    pub max_response_body_bytes: Option<u64>,
    /// How long a request waits for a replica that is on its way; zero: not at all.
    pub hold_timeout: Duration,
    /// How many may wait at once.
    pub hold_max: u64,
    /// Whether browsers that ask for a page get one that asks again, instead of waiting.
    pub waiting_page: bool,
    pub retries: Retries,
    /// `None`: answers eject nobody.
    pub outlier_detection: Option<OutlierDetection>,
}

impl Forward {
    /// How many requests a replica has at once.
    pub fn limit(&self) -> u64 {
        self.container_concurrency.map_or(UNLIMITED, u64::from)
    }
}

impl Default for Forward {
    fn default() -> Self {
        Forward {
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
