//! Updates: how replicas of an old version are replaced.

use std::time::Duration;

/// Rules for replacing the replicas of an old version, as in Compose's `update_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Replicas at a time.
    pub parallelism: u32,
    pub order: UpdateOrder,
    /// Time from one batch to the next.
    pub delay: Duration,
    /// Time for which a new replica must stay well.
    pub monitor: Duration,
    pub failure_action: FailureAction,
    /// Share of the wanted replicas that may fail, 0 to 1.
    pub max_failure_ratio: f64,
}

impl Default for Update {
    fn default() -> Self {
        Update {
            parallelism: 1,
            order: UpdateOrder::StartFirst,
            delay: Duration::ZERO,
            monitor: Duration::from_secs(5),
            failure_action: FailureAction::Rollback,
            max_failure_ratio: 0.0,
        }
    }
}

/// Order of starts and stops in an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOrder {
    /// New replicas start on ports above the others; old ones are drained once these are ready.
    StartFirst,
    /// Old replicas are drained first, and new ones take their ports.
    StopFirst,
}

/// Reaction to an update of which too many new replicas fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    /// Goes back to the version before.
    Rollback,
    /// Leaves the replicas of both versions as they are.
    Pause,
    /// Goes on, with growing delays.
    Continue,
}
