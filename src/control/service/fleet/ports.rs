//! Ports that were somebody else's.

use crate::service::spec::Slot;
use crate::service::time::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A port that was somebody else's for so long is tried again, when a replica is missing anyway.
const TAKEN_FOR: Duration = Duration::from_secs(60);
/// In place of the time at which a port was found taken: nothing that runs is moved to it, and
/// the next replica that is missing gets it.
const FREE_WHEN_NEEDED: Moment = Moment::from_secs(0);

#[derive(Default)]
pub struct TakenPorts(BTreeMap<Slot, Moment>);

impl TakenPorts {
    pub fn take(&mut self, slot: Slot, now: Moment) {
        self.0.insert(slot, now);
    }

    /// Takes a port until a replica is missing.
    pub fn take_until_needed(&mut self, slot: Slot) {
        self.0.insert(slot, FREE_WHEN_NEEDED);
    }

    pub fn free(&mut self, slot: Slot) {
        self.0.remove(&slot);
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Only when a start is due anyway: nothing that runs is moved to find out.
    pub fn forgive(&mut self, now: Moment) {
        self.0.retain(|_, since| now.since(*since) < TAKEN_FOR);
    }

    pub fn slots(&self) -> BTreeSet<Slot> {
        self.0.keys().copied().collect()
    }
}
