//! The verdict of a health check on a replica.

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
        /// Reached `SLOW_TO_START` with this check; true once.
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
