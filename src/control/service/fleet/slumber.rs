//! Whether one replica is paused, as far as is known.
//!
//! ```text
//! awake -> falling asleep -> asleep -> waking -> awake
//!                 |            ^         |
//!                 '-> unsure --'<--------'    until a listing tells
//! ```

use crate::service::replica::RunState;

#[derive(Default)]
pub struct Slumber {
    stage: Option<SleepStage>,
    /// Listings up to this one may not know whether it is paused.
    known_after: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SleepStage {
    FallingAsleep,
    Asleep,
    Waking,
    /// The engine was asked for a change and did not answer: the next listing tells.
    Unsure,
}

/// The pause that a listing shows, compared with the known one.
#[derive(Clone, PartialEq, Eq)]
pub enum ListedPause {
    /// As known.
    Same,
    /// The listing is older than what was done since; the state is this one.
    Stale(RunState),
    /// Somebody else paused it.
    Paused,
    /// Somebody else had it run again.
    Resumed,
}

impl Slumber {
    pub fn is_awake(&self) -> bool {
        self.stage.is_none()
    }

    pub fn is_settled(&self) -> bool {
        self.stage == Some(SleepStage::Asleep)
    }

    /// A pause, or the end of one, is under way.
    pub fn is_turning(&self) -> bool {
        matches!(
            self.stage,
            Some(SleepStage::FallingAsleep | SleepStage::Waking)
        )
    }

    pub fn falls_asleep(&mut self) {
        self.stage = Some(SleepStage::FallingAsleep);
    }

    pub fn is_asleep_now(&mut self) {
        self.stage = Some(SleepStage::Asleep);
    }

    pub fn wakes(&mut self) {
        self.stage = Some(SleepStage::Waking);
    }

    pub fn is_unsure(&mut self) {
        self.stage = Some(SleepStage::Unsure);
    }

    /// Returns whether it slept.
    pub fn ends(&mut self) -> bool {
        self.stage.take().is_some()
    }

    /// The engine has answered; listings up to this one may not know.
    pub fn answered(&mut self, listing: u64) {
        self.known_after = listing;
    }

    pub fn compare(&mut self, state: &RunState, listing: u64) -> ListedPause {
        let paused = match state {
            RunState::Paused => true,
            RunState::Running => false,
            RunState::Created | RunState::Exited { .. } => return ListedPause::Same,
        };
        if self.stage == Some(SleepStage::Unsure) && listing > self.known_after {
            self.stage = Some(SleepStage::Asleep);
        }
        let is_settled = matches!(self.stage, None | Some(SleepStage::Asleep));
        if !is_settled || listing <= self.known_after {
            return ListedPause::Stale(match self.stage {
                Some(_) => RunState::Paused,
                None => RunState::Running,
            });
        }
        match (paused, self.stage) {
            (true, None) => ListedPause::Paused,
            (false, Some(_)) => ListedPause::Resumed,
            _ => ListedPause::Same,
        }
    }
}
