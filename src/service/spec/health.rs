//! The timing of a health check.

use std::time::Duration;

/// Timing of a health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthTiming {
    pub interval: Duration,
    pub timeout: Duration,
    /// Failed checks in a row that make a ready replica sick.
    pub retries: u32,
    /// Time for which a new replica may fail its checks.
    pub start_period: Duration,
}
