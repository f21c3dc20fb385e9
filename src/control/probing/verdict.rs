//! What a health check has come to think of a replica.

use std::net::SocketAddr;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Healthy {
        address: SocketAddr,
    },
    /// Has not succeeded, and may still within `start_period`.
    NotYet {
        after: Duration,
        why: String,
        /// It has just become `SLOW_TO_START`; said once.
        is_slow: bool,
    },
    /// Failed `retries` times in a row after it had been healthy.
    Unhealthy {
        why: String,
    },
    /// Not once healthy within `start_period`.
    NeverHealthy {
        after: Duration,
        why: String,
    },
}
