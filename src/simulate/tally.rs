//! The tally of a simulation: what the policy cost, and what it failed at.

use super::outcome::Outcome;
use super::time::NANOS;
use super::world::ImaginedWorld;

/// A change of direction so soon after the last change is a flip.
const FLIP_WITHIN: u64 = 5 * 60;
impl ImaginedWorld<'_> {
    pub(super) fn note_change(&mut self, up: bool) {
        let second = self.now / NANOS;
        let flipped = self
            .changed
            .is_some_and(|(at, was_up)| was_up != up && second - at < FLIP_WITHIN);
        self.outcome.flips += u64::from(flipped);
        self.changed = Some((second, up));
    }

    pub(super) fn note_shortage(&mut self, short: bool) {
        let second = self.now / NANOS;
        if !short {
            self.short_since = None;
            return;
        }
        let since = *self.short_since.get_or_insert(second - 1);
        self.outcome.short_for = self.outcome.short_for.max(second - since);
    }

    pub(super) fn end(mut self) -> Outcome {
        for replica in std::mem::take(&mut self.replicas).iter().flatten() {
            self.outcome.replica_seconds += (self.now - replica.began) as f64 / NANOS as f64;
        }
        self.outcome.requests = self.counted.arrived;
        self.outcome
    }
}
