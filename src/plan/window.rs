//! What was counted and when: the memory that scalers look at.

use crate::service::time::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// Samples that would lie closer together than the history divided by this are not kept. Two
/// minutes of history then resolve to 8 ms, and a window holds no more samples than this.
const SAMPLES_MAX: u32 = 4 * 60 * 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub at: Moment,
    /// Requests counted since the service was first seen; never decreases.
    pub requests: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Window {
    began: Option<Moment>,
    samples: VecDeque<Sample>,
    /// When the youngest forgotten sample was taken.
    forgotten: Option<Moment>,
}

impl Window {
    /// Adds a sample and forgets what is older than `keep`.
    pub fn record(&mut self, sample: Sample, keep: Duration) {
        if self.began.is_none() && sample.requests > 0 {
            self.began = Some(sample.at);
        }
        self.forget(sample.at - keep);
        // A sample too close to the last one is left out, rather than the last one replaced: what
        // `at` has once answered stays the answer.
        let gap_min = keep / SAMPLES_MAX;
        let apart = |last: &Sample| sample.at.since(last.at) > gap_min;
        if self.samples.back().is_none_or(apart) {
            self.samples.push_back(sample);
        }
    }

    /// Keeps the youngest sample up to `horizon`: it is the base that the next ones are compared
    /// with.
    fn forget(&mut self, horizon: Moment) {
        while self.samples.get(1).is_some_and(|next| next.at <= horizon) {
            self.forgotten = self.samples.pop_front().map(|sample| sample.at);
        }
    }

    /// When the first request came.
    pub fn began(&self) -> Option<Moment> {
        self.began
    }

    pub fn latest(&self) -> Option<Sample> {
        self.samples.back().copied()
    }

    /// The first sample at or after `moment`; `None` when there is none yet, or when it may have
    /// been forgotten.
    ///
    /// An interval's end and the next one's beginning find the same sample, so no request is
    /// counted twice or not at all, however late the sample was taken.
    pub fn at(&self, moment: Moment) -> Option<Sample> {
        if self.forgotten.is_some_and(|edge| moment <= edge) {
            return None;
        }
        let index = self.samples.partition_point(|sample| sample.at < moment);
        self.samples.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(millis: u64, requests: u64) -> Sample {
        Sample {
            at: Moment::from_millis(millis),
            requests,
        }
    }

    fn window(samples: &[(u64, u64)], keep: Duration) -> Window {
        let mut window = Window::default();
        for (millis, requests) in samples {
            window.record(sample(*millis, *requests), keep);
        }
        window
    }

    #[test]
    fn the_clock_begins_with_the_first_request_and_not_with_the_first_sample() {
        let keep = Duration::from_secs(10);
        assert_eq!(window(&[(0, 0), (1_000, 0)], keep).began(), None);
        let begun = window(&[(0, 0), (1_000, 3), (2_000, 4)], keep);
        assert_eq!(begun.began(), Some(Moment::from_secs(1)));
    }

    #[test]
    fn a_moment_finds_the_first_sample_at_or_after_it() {
        let window = window(&[(1_000, 1), (2_000, 2)], Duration::from_secs(10));
        assert_eq!(window.at(Moment::from_millis(0)), Some(sample(1_000, 1)));
        assert_eq!(
            window.at(Moment::from_millis(1_000)),
            Some(sample(1_000, 1))
        );
        assert_eq!(
            window.at(Moment::from_millis(1_001)),
            Some(sample(2_000, 2))
        );
        assert_eq!(window.at(Moment::from_millis(2_001)), None);
    }

    #[test]
    fn the_base_sample_outlives_the_horizon_and_older_ones_are_unknown() {
        let samples = [(1_000, 1), (2_000, 2), (3_000, 3), (60_000, 4)];
        let window = window(&samples, Duration::from_secs(10));
        assert_eq!(window.at(Moment::from_secs(2)), None);
        assert_eq!(window.at(Moment::from_secs(3)), Some(sample(3_000, 3)));
        assert_eq!(window.at(Moment::from_secs(50)), Some(sample(60_000, 4)));
    }

    #[test]
    fn a_storm_of_samples_stays_within_the_limit() {
        let keep = Duration::from_secs(10);
        let mut window = Window::default();
        for micros in (0..30_000_000).step_by(100) {
            let at = Moment(Duration::from_micros(micros));
            window.record(
                Sample {
                    at,
                    requests: micros,
                },
                keep,
            );
        }
        assert!(window.samples.len() <= SAMPLES_MAX as usize + 1);
    }

    proptest! {
        /// Whatever the sampling times, intervals that follow each other share out every request.
        #[test]
        fn no_request_is_counted_twice_or_lost(
            steps in prop::collection::vec((0u64..3_000, 0u64..50), 1..200),
            interval_ms in 100u64..5_000,
        ) {
            let interval = Duration::from_millis(interval_ms);
            let mut window = Window::default();
            let (mut now, mut requests, mut shared_out, mut complete) = (0, 1, 0, 0);
            for (gap, more) in steps {
                now += gap;
                requests += more;
                window.record(sample(now, requests), interval * 2);
                let began = window.began().expect("there was a request");
                // As a scaler that wakes late: it counts every interval that has ended since.
                while let Some(end) = window.at(began + interval * (complete + 1)) {
                    let before = match complete {
                        0 => Some(0),
                        _ => window.at(began + interval * complete).map(|start| start.requests),
                    };
                    complete += 1;
                    // Unknown only when more than the history went by between two samples.
                    let Some(before) = before else { shared_out = end.requests; continue };
                    prop_assert_eq!(before, shared_out);
                    shared_out = end.requests;
                }
            }
        }

        /// Forgetting changes no answer within the history.
        #[test]
        fn forgetting_changes_no_answer_within_the_history(
            gaps in prop::collection::vec(1u64..3_000, 1..200),
            keep_ms in 100u64..5_000,
            back_ms in 0u64..5_000,
        ) {
            let keep = Duration::from_millis(keep_ms);
            let (mut window, mut all, mut now) = (Window::default(), vec![], 0);
            for (requests, gap) in (0u64..).zip(gaps) {
                now += gap;
                window.record(sample(now, requests), keep);
                all.push(sample(now, requests));
                let moment = Moment::from_millis(now) - Duration::from_millis(back_ms.min(keep_ms));
                let expected = all.iter().find(|sample| sample.at >= moment).copied();
                prop_assert_eq!(window.at(moment), expected);
            }
        }
    }
}
