//! The crash-loop brake of one service.

use crate::service::time::Moment;
use std::time::Duration;

/// The first failure costs nothing: most replicas that die once live the second time.
const FREE_FAILURES: u32 = 1;
const FIRST: Duration = Duration::from_secs(1);
/// Long enough to spare the host, short enough that a repaired image is up within a minute.
const LONGEST: Duration = Duration::from_secs(60);
/// Waits are shorter by up to this share, so that several services do not retry in step.
const JITTER: f64 = 0.1;
/// A replica that was ready for less than this died of what it is, not of what happened to it.
pub const SETTLED_AFTER: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    /// Tells services apart, so that they do not retry in step.
    seed: u64,
    failures: u32,
    not_before: Moment,
    /// The youngest replica that failed; only a younger one proves that things are better.
    failed_generation: u64,
}

impl Backoff {
    pub fn new(service: &str) -> Self {
        Backoff {
            seed: service.bytes().fold(0, |sum: u64, byte| {
                sum.wrapping_mul(31).wrapping_add(u64::from(byte))
            }),
            ..Backoff::default()
        }
    }

    /// Notes that a replica could not start, never got healthy or did not last.
    pub fn failed(&mut self, generation: u64, now: Moment) {
        self.failed_generation = self.failed_generation.max(generation);
        self.failures = self.failures.saturating_add(1);
        if self.failures > FREE_FAILURES {
            let doublings = (self.failures - FREE_FAILURES - 1).min(16);
            let delay = FIRST.saturating_mul(1 << doublings).min(LONGEST);
            self.not_before = now
                + delay.mul_f64(
                    1.0 - JITTER * fraction(self.seed.wrapping_add(u64::from(self.failures))),
                );
        }
    }

    /// Notes that a replica settled.
    pub fn settled(&mut self, generation: u64) {
        if generation > self.failed_generation {
            self.failures = 0;
            self.not_before = Moment::default();
        }
    }

    /// More than one failed, and none has lasted since.
    pub fn is_in_a_row(&self) -> bool {
        self.failures > FREE_FAILURES
    }

    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// No start before this, when there is something to wait for.
    pub fn until(&self, now: Moment) -> Option<Moment> {
        (self.not_before > now).then_some(self.not_before)
    }
}

/// A number in 0..1 that differs from seed to seed and is the same in every run.
fn fraction(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    mixed as f64 / (1u64 << 24) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_free_and_the_next_ones_double_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let now = Moment::from_secs(100);
        for expected in [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            backoff.failed(0, now);
            let wait = backoff
                .until(now)
                .map_or(0.0, |until| until.since(now).as_secs_f64());
            assert!(
                wait <= expected && wait >= 0.9 * expected,
                "{wait} for {expected}"
            );
        }
    }

    #[test]
    fn waits_are_spread_by_a_tenth_at_most() {
        let now = Moment::from_secs(100);
        let waits: std::collections::BTreeSet<_> = (0..50)
            .map(|service| {
                let mut backoff = Backoff::new(&format!("service-{service}"));
                (0..4).for_each(|_| backoff.failed(0, now));
                backoff.until(now).expect("waits").since(now)
            })
            .collect();
        assert!(waits.len() > 40);
        assert!(
            waits
                .iter()
                .all(|wait| (3.6..=4.0).contains(&wait.as_secs_f64()))
        );
    }

    #[test]
    fn only_a_replica_younger_than_the_failure_clears_the_brake() {
        let mut backoff = Backoff::default();
        backoff.failed(7, Moment::default());
        backoff.failed(8, Moment::default());
        backoff.settled(6);
        assert_eq!(backoff.failures(), 2);
        backoff.settled(9);
        assert_eq!(
            (backoff.failures(), backoff.until(Moment::default())),
            (0, None)
        );
    }
}
