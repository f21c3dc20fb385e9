//! Counts with their times: the memory that scalers look at.

use crate::service::latency::Histogram;
use crate::service::time::Moment;
use crate::service::usage::Used;
use std::collections::VecDeque;
use std::time::Duration;

/// Samples that would lie closer together than the history divided by this are not kept. Two
/// minutes of history then resolve to 8 ms, and a window holds no more samples than this.
const SAMPLES_MAX: u32 = 4 * 60 * 60;

/// Samples are taken at least once a second. Where two are further apart, nobody was looking, and
/// what is not known about the time between must not be taken for calm.
const GAP: Duration = Duration::from_secs(5);

/// Histograms are larger than samples, and nobody needs them as often.
const ANSWERS_APART: Duration = Duration::from_millis(900);

/// A service at one instant. Counters never decrease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub at: Moment,
    /// The wall clock, since 1970 in UTC; zero: not known.
    pub clock: Duration,
    /// Requests counted since the service was first seen.
    pub requests: u64,
    /// Requests that a replica was done with.
    pub completed: u64,
    /// How long these kept their replicas, in total.
    pub busy: Duration,
    /// Requests that replicas are at work on.
    pub in_flight: u64,
    /// Requests that wait for a replica.
    pub held: u64,
    pub ready: u32,
    pub starting: u32,
    /// How long the starting ones have been, in total.
    pub starting_for: Duration,
    /// How long a start takes until the replica is ready, as learned; zero: not known yet.
    pub start_time: Duration,
    /// Use of the ready replicas; none, unless a policy [needs](super::scaler::Needs) it.
    pub used: Used,
    /// Replicas are being replaced by others.
    pub rolling: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Window {
    began: Option<Moment>,
    samples: VecDeque<Sample>,
    /// When the youngest forgotten sample was taken.
    forgotten: Option<Moment>,
    /// The first sample after the last gap.
    unbroken_since: Option<Moment>,
    /// When the newest sample was taken, also one that was not kept.
    sampled: Option<Moment>,
    /// Proposals of scalers: only those that no later one exceeds, and those that no later one
    /// falls below.
    high: VecDeque<(Moment, u32)>,
    /// How long answers have taken, now and then.
    answers: VecDeque<(Moment, Box<Histogram>)>,
    low: VecDeque<(Moment, u32)>,
}

impl Window {
    /// Adds a sample and forgets what is older than `keep`.
    pub fn record(&mut self, sample: Sample, keep: Duration) {
        if self.began.is_none() && sample.requests > 0 {
            self.began = Some(sample.at);
        }
        if self.sampled.is_none_or(|last| sample.at.since(last) > GAP) {
            self.unbroken_since = Some(sample.at);
        }
        self.sampled = Some(sample.at);
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
        for proposals in [&mut self.high, &mut self.low] {
            while proposals.front().is_some_and(|(at, _)| *at < horizon) {
                proposals.pop_front();
            }
        }
    }

    /// Remembers what the load asked for, whatever was made of it.
    pub fn propose(&mut self, at: Moment, replicas: u32) {
        while self.high.back().is_some_and(|last| last.1 <= replicas) {
            self.high.pop_back();
        }
        while self.low.back().is_some_and(|last| last.1 >= replicas) {
            self.low.pop_back();
        }
        self.high.push_back((at, replicas));
        self.low.push_back((at, replicas));
    }

    /// Remembers how long answers have taken until now.
    pub fn note_answers(&mut self, at: Moment, answers: Histogram, keep: Duration) {
        let horizon = at - keep;
        while self.answers.get(1).is_some_and(|next| next.0 <= horizon) {
            self.answers.pop_front();
        }
        let apart = |last: &(Moment, _)| at.since(last.0) >= ANSWERS_APART;
        if self.answers.back().is_none_or(apart) {
            self.answers.push_back((at, Box::new(answers)));
        }
    }

    /// The answers between two moments, or a little more, as far as they are remembered.
    pub fn answers(&self, from: Moment, until: Moment) -> Option<Histogram> {
        let up_to = |moment| {
            let index = self.answers.partition_point(|(at, _)| *at <= moment);
            self.answers.get(index.saturating_sub(1))
        };
        let (first, last) = (up_to(from)?, up_to(until)?);
        Some(last.1.since(&first.1))
    }

    /// The highest count that was asked for since then.
    pub fn highest_proposal(&self, since: Moment) -> Option<u32> {
        first_since(&self.high, since)
    }

    /// The lowest one.
    pub fn lowest_proposal(&self, since: Moment) -> Option<u32> {
        first_since(&self.low, since)
    }

    /// Since when samples have been taken without a gap.
    pub fn unbroken_since(&self) -> Option<Moment> {
        self.unbroken_since
    }

    /// When the first request came.
    pub fn began(&self) -> Option<Moment> {
        self.began
    }

    /// The last sample at or before `moment` that is still known.
    pub fn up_to(&self, moment: Moment) -> Option<Sample> {
        let index = self.samples.partition_point(|sample| sample.at <= moment);
        self.samples.get(index.checked_sub(1)?).copied()
    }

    /// The samples from `moment` on that are still known.
    pub fn since(&self, moment: Moment) -> impl Iterator<Item = &Sample> {
        let index = self.samples.partition_point(|sample| sample.at < moment);
        self.samples.range(index..)
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

fn first_since(proposals: &VecDeque<(Moment, u32)>, since: Moment) -> Option<u32> {
    let index = proposals.partition_point(|(at, _)| *at < since);
    proposals.get(index).map(|(_, replicas)| *replicas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(millis: u64, requests: u64) -> Sample {
        Sample {
            at: Moment::from_millis(millis),
            requests,
            ..Sample::default()
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
                    ..Sample::default()
                },
                keep,
            );
        }
        assert!(window.samples.len() <= SAMPLES_MAX as usize + 1);
    }

    #[test]
    fn a_moment_also_finds_the_last_sample_up_to_it() {
        let window = window(&[(1_000, 1), (2_000, 2)], Duration::from_secs(10));
        let found = |millis| window.up_to(Moment::from_millis(millis));
        assert_eq!(found(999), None);
        assert_eq!(found(1_000), Some(sample(1_000, 1)));
        assert_eq!(found(1_999), Some(sample(1_000, 1)));
        assert_eq!(found(9_000), Some(sample(2_000, 2)));
    }

    #[test]
    fn a_gap_begins_the_unbroken_time_anew() {
        let keep = Duration::from_secs(60);
        let steady = [(0, 0), (1_000, 0), (2_000, 0)];
        let since = |samples: &[(u64, u64)]| window(samples, keep).unbroken_since();
        assert_eq!(since(&steady), Some(Moment::from_secs(0)));
        let broken = [(0, 0), (1_000, 0), (9_000, 0), (10_000, 0)];
        assert_eq!(since(&broken), Some(Moment::from_secs(9)));
        assert_eq!(since(&[]), None);
    }

    #[test]
    fn the_highest_and_the_lowest_proposal_are_those_of_the_time_asked_for() {
        let mut window = Window::default();
        for (second, replicas) in [(0, 9), (1, 4), (2, 6), (3, 2), (4, 3)] {
            window.propose(Moment::from_secs(second), replicas);
        }
        let highest = |second| window.highest_proposal(Moment::from_secs(second));
        let expected = [Some(9), Some(6), Some(6), Some(3), Some(3), None];
        assert_eq!([0, 1, 2, 3, 4, 5].map(highest), expected);
        let lowest = |second| window.lowest_proposal(Moment::from_secs(second));
        let expected = [Some(2), Some(2), Some(2), Some(2), Some(3), None];
        assert_eq!([0, 1, 2, 3, 4, 5].map(lowest), expected);
    }

    proptest! {
        /// Consecutive intervals share out every request, at any sampling times.
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
