//! The load over a period, from samples.

use crate::plugin::prelude::*;

/// Fewer finished requests do not show the service time.
const COMPLETED_MIN: u64 = 10;

/// The load over a period, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Requests per second.
    pub rate: f64,
    /// Requests at work, on average.
    pub in_flight: f64,
    /// Service time of a replica in seconds; `None` when too few requests were finished.
    pub service_time: Option<f64>,
    /// Length of the period in seconds.
    pub over: f64,
}

impl Load {
    /// The load from `back` ago to `until` ago, or a little longer, from sample to sample.
    ///
    /// Counters only grow, so a gap between two samples never looks calm: its requests are spread
    /// over its length.
    pub fn between(window: &Window, now: Moment, back: Duration, until: Duration) -> Option<Load> {
        let last = window.up_to(now - until)?;
        let first = match window.up_to(now - back) {
            Some(sample) => sample,
            None => *window.since(Moment::default()).next()?,
        };
        let over = last.at.since(first.at).as_secs_f64();
        if over <= 0.0 {
            return None;
        }
        let (mut area, mut before) = (0.0, first.at);
        let within = window.since(first.at);
        for sample in within.filter(|it| it.at > first.at && it.at <= last.at) {
            area += sample.in_flight as f64 * sample.at.since(before).as_secs_f64();
            before = sample.at;
        }
        let completed = last.completed - first.completed;
        let busy = last.busy.saturating_sub(first.busy).as_secs_f64();
        Some(Load {
            rate: last.requests.saturating_sub(first.requests) as f64 / over,
            in_flight: area / over,
            service_time: (completed >= COMPLETED_MIN).then(|| busy / completed as f64),
            over,
        })
    }

    pub fn of_last(window: &Window, now: Moment, back: Duration) -> Option<Load> {
        Load::between(window, now, back, Duration::ZERO)
    }

    /// The standard deviation of the rate: arrivals are nearly Poisson, and their rate varies by
    /// `variation` from second to second in addition.
    pub fn deviation(&self, variation: f64) -> f64 {
        let each_second = self.rate + (variation * self.rate).powi(2);
        (each_second / self.over).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(samples: &[(u64, u64, u64)]) -> Window {
        let mut window = Window::default();
        for (second, requests, in_flight) in samples {
            let sample = Sample {
                at: Moment::from_secs(*second),
                requests: *requests,
                completed: *requests,
                busy: Duration::from_millis(250) * *requests as u32,
                in_flight: *in_flight,
                ..Sample::default()
            };
            window.record(sample, Duration::from_secs(600));
        }
        window
    }

    #[test]
    fn rate_service_time_and_requests_at_work_are_those_of_the_time_asked_for() {
        let window = window(&[(0, 0, 0), (10, 100, 5), (20, 400, 9)]);
        let now = Moment::from_secs(20);
        let last = Load::of_last(&window, now, Duration::from_secs(10)).unwrap();
        assert_eq!((last.rate, last.in_flight, last.over), (30.0, 9.0, 10.0));
        assert_eq!(last.service_time, Some(0.25));
        let whole = Load::of_last(&window, now, Duration::from_secs(60)).unwrap();
        assert_eq!((whole.rate, whole.in_flight, whole.over), (20.0, 7.0, 20.0));
        let seconds = Duration::from_secs;
        let before = Load::between(&window, now, seconds(20), seconds(10)).unwrap();
        assert_eq!(before.rate, 10.0);
    }

    #[test]
    fn what_came_in_a_gap_is_spread_over_it() {
        let window = window(&[(0, 0, 1), (60, 6_000, 25)]);
        for back in [6, 60] {
            let back = Duration::from_secs(back);
            let load = Load::of_last(&window, Moment::from_secs(60), back);
            assert_eq!(load.map(|load| load.rate), Some(100.0));
        }
    }

    #[test]
    fn without_samples_or_finished_requests_it_says_so() {
        let minute = Duration::from_secs(60);
        assert_eq!(
            Load::of_last(&Window::default(), Moment::default(), minute),
            None
        );
        let few = window(&[(0, 0, 0), (1, 9, 2)]);
        let load = Load::of_last(&few, Moment::from_secs(1), minute).unwrap();
        assert_eq!(load.service_time, None);
    }
}
