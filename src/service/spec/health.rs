//! The timing of a health check.

use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthTiming {
    pub interval: Duration,
    pub timeout: Duration,
    /// Failures in a row that make a ready replica sick.
    pub retries: u32,
    /// How long a new replica may fail before it counts as broken.
    pub start_period: Duration,
}
