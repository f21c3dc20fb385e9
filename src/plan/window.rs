//! What was counted and when: the memory that scalers look at.

use crate::service::time::Moment;
use std::collections::VecDeque;
use std::time::Duration;

/// More samples than this are thinned out from the front: an hour at four a second.
const SAMPLES_MAX: usize = 4 * 60 * 60;

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
}

impl Window {
    /// Adds a sample and forgets what is older than `keep`.
    pub fn record(&mut self, sample: Sample, keep: Duration) {
        if self.began.is_none() && sample.requests > 0 {
            self.began = Some(sample.at);
        }
        let horizon = sample.at - keep;
        // The youngest sample before the horizon stays: it is the base that the next ones are
        // compared with.
        while self.samples.len() > SAMPLES_MAX
            || self
                .samples
                .get(1)
                .is_some_and(|second| second.at <= horizon)
        {
            self.samples.pop_front();
        }
        if self.samples.back().is_none_or(|last| last.at < sample.at) {
            self.samples.push_back(sample);
        }
    }

    /// When the first request came.
    pub fn began(&self) -> Option<Moment> {
        self.began
    }

    pub fn latest(&self) -> Option<Sample> {
        self.samples.back().copied()
    }

    /// The first sample at or after `moment`.
    ///
    /// An interval's end and the next one's beginning find the same sample, so no request is
    /// counted twice or not at all, however late the sample was taken.
    pub fn at(&self, moment: Moment) -> Option<Sample> {
        let index = self.samples.partition_point(|sample| sample.at < moment);
        self.samples.get(index).copied()
    }
}
