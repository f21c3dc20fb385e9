//! The planner's answer: next steps, reasons, and the time to ask again.

use super::reason::Reason;
use crate::service::replica::ReplicaId;
use crate::service::spec::Slot;
use crate::service::time::Moment;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub actions: Vec<Action>,
    /// Why things are as they are and what is waited for.
    pub because: Vec<Reason>,
    /// The next instant at which the plan could change by itself.
    pub wake: Option<Moment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Has the image pulled unless it is on the machine; a replica on the slot needs it.
    FetchImage { slot: Slot, because: Reason },
    /// Makes a replica on a free slot.
    Start { slot: Slot, because: Reason },
    /// Takes a ready replica out of rotation.
    Drain {
        id: ReplicaId,
        slot: Slot,
        because: Reason,
    },
    /// Puts a draining replica that is wanted again back into rotation.
    Return {
        id: ReplicaId,
        slot: Slot,
        because: Reason,
    },
    /// Freezes a ready replica that nobody asks for; what it has in memory stays.
    Pause {
        id: ReplicaId,
        slot: Slot,
        because: Reason,
    },
    /// Lets a paused replica run again.
    Resume {
        id: ReplicaId,
        slot: Slot,
        because: Reason,
    },
    /// SIGTERM, SIGKILL after `grace`, removed.
    Stop {
        id: ReplicaId,
        slot: Slot,
        grace: Duration,
        because: Reason,
    },
}

impl Plan {
    pub(super) fn waits(&mut self, because: Reason) {
        if !self.because.contains(&because) {
            self.because.push(because);
        }
    }

    /// Leaves out actions that would take a replica away from requests that this process does not
    /// know. Sick replicas leave all the same.
    pub fn postpone_planned_stops(&mut self) {
        let before = self.actions.len();
        self.actions.retain(|action| match action {
            Action::FetchImage { .. }
            | Action::Start { .. }
            | Action::Return { .. }
            | Action::Resume { .. } => true,
            Action::Drain { .. } | Action::Pause { .. } => false,
            Action::Stop { because, .. } => matches!(because, Reason::Ailing(_)),
        });
        if self.actions.len() < before {
            self.waits(Reason::WaitsForPredecessor);
        }
    }

    pub(super) fn wake_at(&mut self, at: Moment) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}
