//! A histogram of the time until answers begin, into which many threads count.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Sixteen buckets for each doubling from 1 ms to 1 min, so 4.4 % wide each, one below and one
/// above.
const BUCKETS: usize = 16 * 16 + 2;
const PER_DOUBLING: f64 = 16.0;

/// Counts by duration. They grow and wrap; the difference of two histograms is the traffic between
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram([u32; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Histogram([0; BUCKETS])
    }
}

/// A histogram of atomics.
#[derive(Debug)]
pub struct Latencies([AtomicU32; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Latencies(std::array::from_fn(|_| AtomicU32::new(0)))
    }
}

impl Latencies {
    pub fn note(&self, took: Duration) {
        self.0[bucket(took)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn counts(&self) -> Histogram {
        Histogram(std::array::from_fn(|index| {
            self.0[index].load(Ordering::Relaxed)
        }))
    }
}

impl Histogram {
    pub fn note(&mut self, took: Duration) {
        let count = &mut self.0[bucket(took)];
        *count = count.wrapping_add(1);
    }

    /// Counts since `earlier`.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        Histogram(std::array::from_fn(|index| {
            self.0[index].wrapping_sub(earlier.0[index])
        }))
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// Duration that the share `quantile` of all counts does not exceed; `None` without counts.
    /// Interpolates within a bucket, as Prometheus' `histogram_quantile` does.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let rank = quantile * self.count() as f64;
        let mut below = 0.0;
        for (index, count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = f64::from(*count);
            if below + count >= rank {
                let (from, to) = (bound(index), bound(index + 1));
                let share = ((rank - below) / count).clamp(0.0, 1.0);
                return Some(Duration::from_secs_f64(
                    (from + (to - from) * share) / 1000.0,
                ));
            }
            below += count;
        }
        None
    }
}

fn bucket(took: Duration) -> usize {
    let millis = took.as_secs_f64() * 1000.0;
    match millis < 1.0 {
        true => 0,
        false => ((millis.log2() * PER_DOUBLING) as usize + 1).min(BUCKETS - 1),
    }
}

/// Lower bound of a bucket, in milliseconds.
fn bound(index: usize) -> f64 {
    match index {
        0 => 0.0,
        index => 2f64.powf((index - 1) as f64 / PER_DOUBLING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_quantile_is_that_of_what_was_counted_in_between() {
        let latencies = Latencies::default();
        let note = |millis, times| {
            (0..times).for_each(|_| latencies.note(Duration::from_millis(millis)));
        };
        note(5_000, 100);
        let before = latencies.counts();
        note(10, 90);
        note(400, 10);
        let counts = latencies.counts().since(&before);
        assert_eq!(counts.count(), 100);
        let quantile = |share| counts.quantile(share).unwrap().as_millis();
        assert!((9..11).contains(&quantile(0.5)), "{}", quantile(0.5));
        assert!((390..410).contains(&quantile(0.95)), "{}", quantile(0.95));
        assert_eq!(Histogram::default().quantile(0.95), None);
    }

    proptest! {
        /// No quantile is further off than its bucket is wide.
        #[test]
        fn a_quantile_is_off_by_a_twentieth_at_most(
            mut millis in prop::collection::vec(1u64..60_000, 1..300),
            share in 0.01f64..1.0,
        ) {
            let mut histogram = Histogram::default();
            for millis in &millis {
                histogram.note(Duration::from_millis(*millis));
            }
            millis.sort_unstable();
            let rank = (share * millis.len() as f64).ceil() as usize;
            let exact = millis[rank.max(1) - 1] as f64;
            let told = histogram.quantile(share).unwrap().as_secs_f64() * 1000.0;
            prop_assert!((told / exact - 1.0).abs() < 0.05, "{told} instead of {exact}");
        }
    }
}
