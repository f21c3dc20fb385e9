//! The removal of one replica, and what came of earlier attempts.
//!
//! ```text
//! none -> under way -> gone
//!             |  ^
//!             v  '---- the planner, when the time has come
//!          failed
//! ```

use crate::plan::Condition;
use crate::service::time::Moment;
use std::time::Duration;

/// The first failure may be one of a moment; after the second one another port is used.
const STUCK_AFTER_FAILURES: u32 = 2;
/// Added to the grace period. Killing, unmounting and deleting takes a tenth of a second; a
/// replica that is wanted need not wait for a disk that takes longer than this.
const HANGS_AFTER: Duration = Duration::from_secs(5);
/// A failed removal is tried again after this, and after twice as long each time.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Removal {
    step: Option<Step>,
    failures: u32,
    error: Option<String>,
}

enum Step {
    UnderWay {
        /// By then it takes so long that it may never return.
        hangs_at: Moment,
    },
    RetryAt(Moment),
}

impl Removal {
    pub fn begin(&mut self, grace: Duration, now: Moment) {
        let hangs_at = now + grace + HANGS_AFTER;
        self.step = Some(Step::UnderWay { hangs_at });
    }

    /// Returns whether that is news: one line a change, not one an attempt.
    pub fn failed(&mut self, why: String, now: Moment) -> bool {
        let doublings = self.failures.min(16);
        let after = RETRY_AFTER.saturating_mul(1 << doublings);
        self.step = Some(Step::RetryAt(now + after.min(RETRY_AFTER_MAX)));
        self.failures = self.failures.saturating_add(1);
        self.error.replace(why) != self.error
    }

    pub fn has_begun(&self) -> bool {
        self.step.is_some()
    }

    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    pub fn is_under_way(&self) -> bool {
        matches!(self.step, Some(Step::UnderWay { .. }))
    }

    /// Failed, and due for the next attempt.
    pub fn is_due(&self, now: Moment) -> bool {
        matches!(self.step, Some(Step::RetryAt(at)) if at <= now)
    }

    /// Failed more than once, or hangs.
    pub fn is_stuck(&self, now: Moment) -> bool {
        match self.step {
            None => false,
            Some(Step::UnderWay { hangs_at }) if hangs_at <= now => true,
            Some(_) => self.failures >= STUCK_AFTER_FAILURES,
        }
    }

    pub fn stuck(&self) -> Condition {
        Condition::Stuck {
            why: self
                .error
                .clone()
                .unwrap_or_else(|| "the engine does not answer".to_owned()),
            again_at: match self.step {
                Some(Step::RetryAt(at)) => Some(at),
                _ => None,
            },
        }
    }

    /// When it is tried again, or counts as hanging.
    pub fn turns_at(&self) -> Option<Moment> {
        match self.step {
            Some(Step::RetryAt(at) | Step::UnderWay { hangs_at: at }) => Some(at),
            None => None,
        }
    }
}
