//! Numbers derived from the counters once a second: rates, percentiles, shares of errors.

use crate::service::answers::AnswerCount;
use crate::service::load::ServiceLoad;
use crate::service::snapshot::{ServiceView, Snapshot};
use crate::service::spec::ServiceName;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Interval of samples.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Time over which rates are taken.
const RATE_OVER: Duration = Duration::from_secs(10);
/// Time over which percentiles and shares of errors are taken.
const ANSWERS_OVER: Duration = Duration::from_secs(60);
/// Interval of the marks for it; each costs 2 KiB a service.
const MARK_EVERY: Duration = Duration::from_secs(5);

/// Recent traffic of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    pub requests_per_second: f64,
    pub p50: Option<Duration>,
    pub p99: Option<Duration>,
    /// The share of answers with 5xx.
    pub error_rate: Option<f64>,
    /// Requests a second of each replica, by generation.
    pub replicas: BTreeMap<u64, f64>,
}

pub type AllNumbers = BTreeMap<ServiceName, Arc<Numbers>>;

/// Sampler, which remembers earlier counts.
pub struct Sampler {
    services: BTreeMap<ServiceName, ServiceCounts>,
    /// Time of the last sample; new services had counted nothing then.
    last: Instant,
}

struct ServiceCounts {
    load: Arc<ServiceLoad>,
    requests: Rate,
    replicas: BTreeMap<u64, Rate>,
    marks: VecDeque<(Instant, AnswerCount)>,
}

impl Sampler {
    pub fn new(now: Instant) -> Sampler {
        Sampler {
            services: BTreeMap::new(),
            last: now,
        }
    }

    pub fn sample(&mut self, snapshot: &Snapshot, now: Instant) -> AllNumbers {
        let last = std::mem::replace(&mut self.last, now);
        self.services.retain(|name, service| {
            let view = snapshot.services.get(name);
            view.is_some_and(|view| Arc::ptr_eq(&view.load, &service.load))
        });
        let services = snapshot.services.iter();
        let numbers = services.map(|(name, view)| {
            let service = self
                .services
                .entry(name.clone())
                .or_insert_with(|| ServiceCounts {
                    load: Arc::clone(&view.load),
                    requests: Rate::since(last),
                    replicas: BTreeMap::new(),
                    marks: [(last, AnswerCount::default())].into(),
                });
            (name.clone(), Arc::new(service.sample(view, last, now)))
        });
        numbers.collect()
    }
}

impl ServiceCounts {
    fn sample(&mut self, view: &ServiceView, last: Instant, now: Instant) -> Numbers {
        let count = self.load.answers.count();
        let oldest = self.marks.front();
        let lately = oldest.map(|(_, oldest)| count.since(oldest));
        let lately = lately.unwrap_or_default();
        let is_due = |(at, _): &(Instant, AnswerCount)| now.duration_since(*at) >= MARK_EVERY;
        if self.marks.back().is_none_or(is_due) {
            self.marks.push_back((now, count));
        }
        while self.marks.len() > 1 && now.duration_since(self.marks[1].0) >= ANSWERS_OVER {
            self.marks.pop_front();
        }

        let live = view.replicas.iter().filter_map(|replica| {
            let live = replica.live.as_ref()?;
            Some((replica.generation, live.requests()))
        });
        let live: BTreeMap<u64, u64> = live.collect();
        self.replicas
            .retain(|generation, _| live.contains_key(generation));
        let replicas = live.into_iter().map(|(generation, requests)| {
            let rate = self.replicas.entry(generation);
            let rate = rate.or_insert_with(|| Rate::since(last));
            (generation, rate.sample(requests, now))
        });
        Numbers {
            requests_per_second: self.requests.sample(self.load.total(), now),
            p50: lately.percentile(50),
            p99: lately.percentile(99),
            error_rate: lately.error_rate(),
            replicas: replicas.collect(),
        }
    }
}

/// Rate of a counter.
struct Rate(VecDeque<(Instant, u64)>);

impl Rate {
    fn since(last: Instant) -> Rate {
        Rate([(last, 0)].into())
    }

    fn sample(&mut self, count: u64, now: Instant) -> f64 {
        self.0.push_back((now, count));
        while self.0.len() > 2 && now.duration_since(self.0[1].0) >= RATE_OVER {
            self.0.pop_front();
        }
        let (since, before) = self.0[0];
        // A late sample is soon followed by the next one, and a request in a millisecond is not a
        // thousand a second.
        let span = now.duration_since(since).max(SAMPLE_EVERY);
        // A replica that is back under its generation counts from the beginning.
        count.saturating_sub(before) as f64 / span.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::store::{Writer, store};
    use crate::service::time::Moment;

    fn snapshot(writer: &Writer, load: Option<&Arc<ServiceLoad>>) -> Snapshot {
        let load = load.cloned().unwrap_or_else(|| Arc::new(writer.new_load()));
        let name = ServiceName::new("web");
        let view = ServiceView::new(name.clone(), load);
        Snapshot {
            services: [(name, Arc::new(view))].into(),
            engine_up: true,
            taken: Moment::default(),
        }
    }

    #[test]
    fn a_request_right_after_the_last_sample_is_one_and_not_a_thousand_a_second() {
        let (writer, _reader) = store();
        let picture = snapshot(&writer, None);
        let now = Instant::now();
        let mut sampler = Sampler::new(now);
        picture.services["web"].load.note(true);
        let all = sampler.sample(&picture, now + Duration::from_millis(1));
        assert_eq!(all["web"].requests_per_second, 1.0);
    }

    #[test]
    fn rates_are_of_the_last_ten_seconds_and_answers_of_the_last_minute() {
        let (writer, _reader) = store();
        let picture = snapshot(&writer, None);
        let load = Arc::clone(&picture.services["web"].load);
        let mut now = Instant::now();
        let mut sampler = Sampler::new(now);
        let mut numbers = Numbers::default();
        let mut pass = |seconds: u64, each_second: u64, status: u16, numbers: &mut Numbers| {
            for _ in 0..seconds {
                for _ in 0..each_second {
                    load.note(true);
                    load.answers
                        .note(status, Duration::from_millis(u64::from(status)));
                }
                now += SAMPLE_EVERY;
                let all = sampler.sample(&picture, now);
                *numbers = Numbers::clone(&all["web"]);
            }
        };
        pass(1, 0, 200, &mut numbers);
        assert_eq!(numbers, Numbers::default());
        pass(30, 20, 200, &mut numbers);
        assert_eq!(numbers.requests_per_second, 20.0);
        assert_eq!(numbers.error_rate, Some(0.0));
        pass(30, 40, 500, &mut numbers);
        assert_eq!(numbers.requests_per_second, 40.0);
        let errors = numbers.error_rate.unwrap();
        assert!((0.6..0.75).contains(&errors), "{errors}");
        assert!(numbers.p99.unwrap() >= Duration::from_millis(500));
        pass(70, 0, 200, &mut numbers);
        assert_eq!(numbers, Numbers::default());
    }

    #[test]
    fn a_service_that_comes_back_is_counted_anew() {
        let (writer, _reader) = store();
        let now = Instant::now();
        let mut sampler = Sampler::new(now);
        let first = snapshot(&writer, None);
        first.services["web"].load.note(true);
        sampler.sample(&first, now);
        let again = snapshot(&writer, None);
        let numbers = sampler.sample(&again, now + SAMPLE_EVERY);
        assert_eq!(numbers["web"].requests_per_second, 0.0);
    }
}
