//! The terms on which an idle service sleeps.

use std::time::Duration;

/// When a service that nobody asks for sleeps: its replicas are paused, and later stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepTerms {
    /// So long after the last request, when none is in flight.
    pub idle_timeout: Duration,
    /// How long replicas stay paused; zero: they are stopped at once.
    pub stop_after: Duration,
}
