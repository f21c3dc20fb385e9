//! The drain of a replica, and its removal.

use super::Tracked;
use crate::control::turn::Turn;
use crate::service::event::Event;
use std::time::Duration;

impl Tracked {
    pub fn is_to_be_replaced(&mut self) {
        self.is_to_go = true;
    }

    pub fn drain(&mut self, because: String, turn: &Turn) {
        let in_flight = self.close();
        self.draining_since = Some(turn.now);
        self.since = turn.now;
        self.because = Some(because.clone());
        turn.emit(Event::Draining {
            service: self.observed.service.clone(),
            slot: self.slot(),
            id: self.id().clone(),
            in_flight,
            because,
        });
    }

    pub fn take_back(&mut self, because: String, turn: &Turn) {
        self.draining_since = None;
        self.because = None;
        self.reopen();
        turn.emit(Event::Returned {
            service: self.observed.service.clone(),
            slot: self.slot(),
            id: self.id().clone(),
            because,
        });
    }

    pub fn remove(&mut self, because: String, grace: Duration, turn: &Turn) {
        if let Some(since) = self.draining_since.take() {
            turn.emit(Event::Drained {
                service: self.observed.service.clone(),
                slot: self.slot(),
                id: self.id().clone(),
                took: turn.now.since(since),
                left: self.in_flight(),
            });
        }
        self.close();
        self.slumber.ends();
        self.removal.begin(grace, turn.now);
        self.prober = None;
        self.since = turn.now;
        self.because = Some(because);
    }

    pub fn removal_failed(&mut self, why: String, turn: &Turn) {
        self.because = Some(format!("cannot be removed: {why}"));
        if self.removal.failed(why.clone(), turn.now) {
            turn.emit(Event::StopFailed {
                service: self.observed.service.clone(),
                slot: self.slot(),
                id: self.id().clone(),
                why,
            });
        }
    }

    /// Ends what is left of its connections within this time.
    pub fn dismiss(&self, within: Duration) {
        if let Some(replica) = &self.replica {
            replica.dismiss(within);
        }
    }

    /// Returns how many requests are inside.
    pub fn close(&self) -> u64 {
        let replica = self.replica.as_ref();
        replica.map_or(0, |replica| replica.gate.close())
    }

    pub fn reopen(&self) {
        if let Some(replica) = &self.replica {
            replica.gate.reopen();
        }
    }
}
