//! The terms on which an idle service sleeps.

use std::time::Duration;

/// Terms on which an idle service sleeps: its replicas are paused, and later stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepTerms {
    /// Time without a request after which the service sleeps.
    pub idle_timeout: Duration,
    /// Time for which replicas stay paused; zero: they are stopped at once.
    pub stop_after: Duration,
}
