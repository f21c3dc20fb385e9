//! The brake on starts that keep failing, and the failure that it shows.

use crate::plan::Reason;
use crate::plan::backoff::Backoff;
use crate::service::spec::{ServiceName, Slot};
use crate::service::time::Moment;

pub struct Brake {
    backoff: Backoff,
    /// Counts while `backoff` does: a replica that never came to be is in no list.
    last_failure: Option<Reason>,
}

impl Brake {
    pub fn new(service: &ServiceName) -> Brake {
        Brake {
            backoff: Backoff::new(service.as_str()),
            last_failure: None,
        }
    }

    pub fn failed(&mut self, generation: u64, slot: Slot, why: String, now: Moment) {
        self.backoff.failed(generation, now);
        self.last_failure = Some(Reason::LastFailure { slot, why });
    }

    pub fn settled(&mut self, generation: u64) {
        self.backoff.settled(generation);
    }

    /// A new version deserves a new try.
    pub fn release(&mut self, service: &ServiceName) {
        self.backoff = Backoff::new(service.as_str());
    }

    pub fn is_on(&self) -> bool {
        self.backoff.failures() > 0
    }

    pub fn last_failure(&self) -> Option<&Reason> {
        self.last_failure.as_ref().filter(|_| self.is_on())
    }

    pub fn backoff(&self) -> &Backoff {
        &self.backoff
    }
}
