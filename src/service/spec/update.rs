//! How replicas of an old template are replaced.

use std::time::Duration;

/// How replicas of an old template are replaced; the words are Compose's `update_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// How many at a time.
    pub parallelism: u32,
    pub order: Order,
    /// Between one batch and the next.
    pub delay: Duration,
    /// How long a new replica must last.
    pub monitor: Duration,
    pub failure_action: FailureAction,
    /// Failed replicas, of those wanted, that are borne.
    pub max_failure_ratio: f64,
}

impl Default for Update {
    fn default() -> Self {
        Update {
            parallelism: 1,
            order: Order::StartFirst,
            delay: Duration::ZERO,
            monitor: Duration::from_secs(5),
            failure_action: FailureAction::Rollback,
            max_failure_ratio: 0.0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// New replicas start on ports above the others; old ones leave once these are ready.
    StartFirst,
    /// Old replicas leave first, and new ones take their ports.
    StopFirst,
}

/// What becomes of an update when too many new replicas fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    /// Goes back to what there was before.
    Rollback,
    /// Leaves both as they are.
    Pause,
    /// Goes on, ever more slowly.
    Continue,
}
