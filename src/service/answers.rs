//! Status and duration of the answers that clients of a service got, for percentiles.
//!
//! Counting is one addition on an atomic, without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets for each doubling of time, so that a percentile is at most an eighth too high.
const STEPS: u64 = 8;
/// Number of buckets, for 8 µs to more than two hours.
const BUCKETS: usize = 240;

/// Not counted: the duration of a tunnel says nothing about the speed of the service.
const SWITCHING_PROTOCOLS: u16 = 101;

/// Counts since the service was first seen.
#[derive(Debug)]
pub struct Answers {
    failed: AtomicU64,
    took: [AtomicU64; BUCKETS],
}

impl Default for Answers {
    fn default() -> Answers {
        Answers {
            failed: AtomicU64::new(0),
            took: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Answers {
    /// Notes an answer: its status, and the time from the request's first byte to the answer's
    /// last. Zero stands for a client that left before there was one.
    pub fn note(&self, status: u16, took: Duration) {
        if status == 0 || status == SWITCHING_PROTOCOLS {
            return;
        }
        if status >= 500 {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.took[bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self) -> AnswerCount {
        AnswerCount {
            failed: self.failed.load(Ordering::Relaxed),
            took: Box::new(std::array::from_fn(|at| {
                self.took[at].load(Ordering::Relaxed)
            })),
        }
    }
}

/// The counts at one instant.
#[derive(Clone, Debug)]
pub struct AnswerCount {
    failed: u64,
    took: Box<[u64; BUCKETS]>,
}

impl Default for AnswerCount {
    fn default() -> AnswerCount {
        AnswerCount {
            failed: 0,
            took: Box::new([0; BUCKETS]),
        }
    }
}

impl AnswerCount {
    /// Counts between `earlier` and this one.
    pub fn since(&self, earlier: &AnswerCount) -> AnswerCount {
        AnswerCount {
            failed: self.failed.saturating_sub(earlier.failed),
            took: Box::new(std::array::from_fn(|at| {
                self.took[at].saturating_sub(earlier.took[at])
            })),
        }
    }

    pub fn answers(&self) -> u64 {
        self.took.iter().sum()
    }

    /// The share of answers with 5xx; `None` without answers.
    pub fn error_rate(&self) -> Option<f64> {
        let answers = self.answers();
        (answers > 0).then(|| self.failed as f64 / answers as f64)
    }

    /// No more than this was taken by `percent` of the answers; `None` without answers.
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let answers = self.answers();
        let wanted = (answers * percent).div_ceil(100).max(1);
        let mut counted = 0;
        let mut buckets = self.took.iter().enumerate();
        let (at, _) = buckets.find(|(_, count)| {
            counted += **count;
            counted >= wanted
        })?;
        Some(upper(at))
    }
}

fn bucket(took: Duration) -> usize {
    let micros = (took.as_micros() as u64).max(STEPS);
    let doublings = u64::from(micros.ilog2() - STEPS.ilog2());
    let step = (micros >> doublings) - STEPS;
    ((doublings * STEPS + step) as usize).min(BUCKETS - 1)
}

fn upper(bucket: usize) -> Duration {
    let (doublings, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    Duration::from_micros((STEPS + step + 1) << doublings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percentiles_are_of_what_came_in_between() {
        let answers = Answers::default();
        answers.note(200, Duration::from_secs(100));
        let earlier = answers.count();
        for millis in 1..=100 {
            answers.note(
                if millis > 98 { 502 } else { 200 },
                Duration::from_millis(millis),
            );
        }
        answers.note(101, Duration::from_secs(3_600));
        let count = answers.count().since(&earlier);
        assert_eq!(count.answers(), 100);
        assert_eq!(count.error_rate(), Some(0.02));
        let within = |found: Option<Duration>, exact: u64| {
            let (found, exact) = (found.unwrap(), Duration::from_millis(exact));
            assert!(found >= exact && found <= exact.mul_f64(1.126), "{found:?}");
        };
        within(count.percentile(50), 50);
        within(count.percentile(99), 99);
        within(count.percentile(100), 100);
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let count = Answers::default().count();
        assert_eq!(count.percentile(50), None);
        assert_eq!(count.error_rate(), None);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_what_is_at_most_an_eighth_below_its_edge(micros in 8_u64..3_600_000_000) {
            let took = Duration::from_micros(micros);
            let edge = upper(bucket(took));
            prop_assert!(took < edge);
            prop_assert!(edge.as_micros() as f64 <= micros as f64 * 1.125 + 1.0);
        }

        #[test]
        fn any_time_has_a_bucket(millis in any::<u64>()) {
            prop_assert!(bucket(Duration::from_millis(millis)) < BUCKETS);
        }
    }
}
