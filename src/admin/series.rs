//! Numbers of the last minutes, so that the dashboard begins with curves.

use super::numbers::{AllNumbers, Numbers, SAMPLE_EVERY};
use super::view;
use crate::service::snapshot::{ServiceView, Snapshot};
use crate::service::spec::ServiceName;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime};

/// Samples per point; a point costs 40 bytes a service.
const EVERY: u32 = 2;
/// Points of a service: five minutes.
const POINTS_MAX: usize = 150;

#[derive(Default)]
pub struct PastSeries {
    services: BTreeMap<ServiceName, VecDeque<Point>>,
    samples: u32,
    /// Time of the newest points.
    taken: Option<SystemTime>,
}

#[derive(Clone, Copy)]
struct Point {
    requests_per_second: f32,
    in_flight: u32,
    held: u32,
    p50: Option<f32>,
    p99: Option<f32>,
    error_rate: Option<f32>,
    desired: u32,
    ready: u32,
}

impl PastSeries {
    /// Adds a sample.
    pub fn note(&mut self, snapshot: &Snapshot, numbers: &AllNumbers) {
        self.samples = self.samples.wrapping_add(1);
        if self.samples % EVERY != 1 {
            return;
        }
        self.taken = Some(SystemTime::now());
        self.services
            .retain(|name, _| snapshot.services.contains_key(name));
        for (name, service) in &snapshot.services {
            let Some(numbers) = numbers.get(name) else {
                continue;
            };
            let points = self.services.entry(name.clone()).or_default();
            if points.len() == POINTS_MAX {
                points.pop_front();
            }
            points.push_back(Point::of(service, numbers));
        }
    }

    pub fn lately(&self) -> view::RecentSeries {
        let taken = self.taken.unwrap_or_else(SystemTime::now);
        let services = self.services.iter().map(|(name, points)| {
            let mut series = view::Series::default();
            points.iter().for_each(|point| point.add_to(&mut series));
            (name.to_string(), series)
        });
        view::RecentSeries {
            time: humantime::format_rfc3339_millis(taken).to_string(),
            every_seconds: (SAMPLE_EVERY * EVERY).as_secs_f32(),
            services: services.collect(),
        }
    }
}

impl Point {
    fn of(service: &ServiceView, numbers: &Numbers) -> Point {
        let live = service.replicas.iter().filter_map(|it| it.live.as_ref());
        let in_flight: u64 = live.map(|live| live.gate.inside()).sum();
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let seconds = |took: Option<Duration>| took.map(|took| rounded(took.as_secs_f64()));
        Point {
            requests_per_second: rounded(numbers.requests_per_second),
            in_flight: count(in_flight),
            held: count(service.load.held()),
            p50: seconds(numbers.p50),
            p99: seconds(numbers.p99),
            error_rate: numbers.error_rate.map(rounded),
            desired: service.desired,
            ready: count(service.ready.len() as u64),
        }
    }

    fn add_to(&self, series: &mut view::Series) {
        series.requests_per_second.push(self.requests_per_second);
        series.in_flight.push(self.in_flight);
        series.held.push(self.held);
        series.p50_seconds.push(self.p50);
        series.p99_seconds.push(self.p99);
        series.error_rate.push(self.error_rate);
        series.desired.push(self.desired);
        series.ready.push(self.ready);
    }
}

/// Rounds to a ten-thousandth: a tenth of a millisecond, or a hundredth of a percent.
fn rounded(value: f64) -> f32 {
    ((value * 10_000.0).round() / 10_000.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::spec::ServiceName;
    use crate::service::store::store;
    use std::sync::Arc;

    fn snapshot(names: &[&str]) -> Snapshot {
        let (writer, _reader) = store();
        let services = names.iter().map(|name| {
            let name = ServiceName::new(name);
            let view = ServiceView {
                desired: 2,
                ..ServiceView::new(name.clone(), Arc::new(writer.new_load()))
            };
            (name, Arc::new(view))
        });
        Snapshot {
            services: services.collect(),
            engine_up: true,
            taken: Default::default(),
        }
    }

    fn numbers(name: &str, requests_per_second: f64) -> AllNumbers {
        let numbers = Numbers {
            requests_per_second,
            ..Numbers::default()
        };
        [(ServiceName::new(name), Arc::new(numbers))].into()
    }

    #[test]
    fn every_second_sample_is_a_point_and_the_last_five_minutes_are_kept() {
        let mut past = PastSeries::default();
        let web = snapshot(&["web"]);
        for second in 0..400 {
            past.note(&web, &numbers("web", f64::from(second)));
        }
        let lately = past.lately();
        assert_eq!(lately.every_seconds, 2.0);
        let series = &lately.services["web"];
        assert_eq!(series.requests_per_second.len(), POINTS_MAX);
        assert_eq!(series.requests_per_second.first(), Some(&100.0));
        assert_eq!(series.requests_per_second.last(), Some(&398.0));
        assert_eq!(series.desired, [2; POINTS_MAX]);
        assert_eq!(series.p50_seconds, [None; POINTS_MAX]);
    }

    #[test]
    fn what_left_is_forgotten_and_what_came_late_has_fewer_points() {
        let mut past = PastSeries::default();
        past.note(&snapshot(&["web"]), &numbers("web", 1.0));
        past.note(&snapshot(&["web"]), &numbers("web", 1.0));
        past.note(&snapshot(&["shop"]), &numbers("shop", 0.12345));
        let lately = past.lately();
        assert_eq!(lately.services.len(), 1);
        assert_eq!(lately.services["shop"].requests_per_second, [0.1235]);
    }
}
