//! The crash-loop brake of one service.

use crate::service::time::Moment;
use std::time::Duration;

/// The first failure costs nothing: most replicas that die once live the second time.
const FREE_FAILURES: u32 = 1;
const FIRST: Duration = Duration::from_secs(1);
/// Long enough to spare the host, short enough that a repaired image is up within a minute.
const LONGEST: Duration = Duration::from_secs(60);
/// A replica that was ready for less than this died of what it is, not of what happened to it.
pub const SETTLED_AFTER: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    not_before: Moment,
}

impl Backoff {
    /// Notes that a replica could not start or never got healthy. `jitter` in 0..1 spreads the
    /// retries of several services.
    pub fn failed(&mut self, now: Moment, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.saturating_sub(FREE_FAILURES + 1).min(16);
        if self.failures > FREE_FAILURES {
            let delay = FIRST.saturating_mul(1 << doublings).min(LONGEST);
            self.not_before = now + delay.mul_f64(1.0 + 0.1 * jitter.clamp(0.0, 1.0));
        }
    }

    /// Notes that a replica settled.
    pub fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// No start before this, when there is something to wait for.
    pub fn until(&self, now: Moment) -> Option<Moment> {
        (self.not_before > now).then_some(self.not_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_free_and_the_next_ones_double_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let now = Moment::from_secs(100);
        let waits: Vec<u64> = (0..9)
            .map(|_| {
                backoff.failed(now, 0.0);
                backoff
                    .until(now)
                    .map_or(0, |until| until.since(now).as_secs())
            })
            .collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_settled_replica_clears_the_brake() {
        let mut backoff = Backoff::default();
        backoff.failed(Moment::default(), 0.0);
        backoff.failed(Moment::default(), 0.0);
        backoff.succeeded();
        assert_eq!(backoff, Backoff::default());
    }
}
