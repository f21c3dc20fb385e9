//! Metrics of finished requests.

use super::register::register;
use crate::plugin::prelude::*;
use arc_swap::ArcSwap;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry as Metrics,
};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Values of the label `code`; the first is for clients that left before an answer.
const CODES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Values of the label `method`. Clients may invent methods, so the last is for all others.
const METHODS: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "OTHER",
];

/// The label `service` of requests that no route claimed.
const NO_SERVICE: &str = "none";

pub struct Requests {
    totals: IntCounterVec,
    durations: HistogramVec,
    retries: IntCounterVec,
    holds: HistogramVec,
    /// Grows with the configured services only; each growth replaces the whole map.
    services: ArcSwap<BTreeMap<ServiceName, Arc<Handles>>>,
    unrouted: Handles,
}

impl Requests {
    pub fn new(metrics: &Metrics, buckets: Vec<f64>) -> Self {
        let totals = Opts::new(
            "tidegate_http_requests_total",
            "Requests answered, by service, method and class of status.",
        );
        let durations = HistogramOpts::new(
            "tidegate_http_request_duration_seconds",
            "Time from a request's first byte to its answer's last, by service and class of status.",
        );
        let retries = Opts::new(
            "tidegate_retries_total",
            "Attempts beyond a request's first, by service.",
        );
        let holds = HistogramOpts::new(
            "tidegate_hold_duration_seconds",
            "Time that requests waited for a replica to be ready, for those that had to, by service.",
        );
        let holds = HistogramVec::new(holds.buckets(buckets.clone()), &["service"]);
        let totals = IntCounterVec::new(totals, &["service", "method", "code"]);
        let durations = HistogramVec::new(durations.buckets(buckets), &["service", "code"]);
        let retries = IntCounterVec::new(retries, &["service"]);
        let retries = register(metrics, retries);
        Requests {
            unrouted: Handles::new(&retries, NO_SERVICE),
            totals: register(metrics, totals),
            durations: register(metrics, durations),
            retries,
            holds: register(metrics, holds),
            services: ArcSwap::default(),
        }
    }

    pub fn count(&self, record: &Record<'_>) {
        let Some(service) = &record.exchange.service else {
            return self.count_for(NO_SERVICE, &self.unrouted, record);
        };
        let services = self.services.load();
        match services.get(service) {
            Some(handles) => self.count_for(service.as_str(), handles, record),
            None => self.count_for(service.as_str(), &self.first_seen(service), record),
        }
    }

    fn first_seen(&self, service: &ServiceName) -> Arc<Handles> {
        let handles = Arc::new(Handles::new(&self.retries, service.as_str()));
        self.services.rcu(|services| {
            let mut services = BTreeMap::clone(services);
            services.insert(service.clone(), Arc::clone(&handles));
            services
        });
        handles
    }

    fn count_for(&self, service: &str, handles: &Handles, record: &Record<'_>) {
        let method = method_index(record.method);
        let code = code_index(record.status);
        let total = handles.totals[method][code].get_or_init(|| {
            self.totals
                .with_label_values(&[service, METHODS[method], CODES[code]])
        });
        total.inc();
        let duration = handles.durations[code]
            .get_or_init(|| self.durations.with_label_values(&[service, CODES[code]]));
        duration.observe(record.duration.as_secs_f64());
        if !record.held.is_zero() {
            let hold = self.holds.with_label_values(&[service]);
            hold.observe(record.held.as_secs_f64());
        }
        if record.retries > 0 {
            handles.retries.inc_by(record.retries.into());
        }
    }
}

/// The metrics of one service, looked up once.
struct Handles {
    totals: [[OnceLock<IntCounter>; CODES.len()]; METHODS.len()],
    durations: [OnceLock<Histogram>; CODES.len()],
    retries: IntCounter,
}

impl Handles {
    fn new(retries: &IntCounterVec, service: &str) -> Self {
        Handles {
            totals: Default::default(),
            durations: Default::default(),
            retries: retries.with_label_values(&[service]),
        }
    }
}

fn method_index(method: &Method) -> usize {
    let known = METHODS.iter().position(|known| *known == method.as_str());
    known.unwrap_or(METHODS.len() - 1)
}

fn code_index(status: u16) -> usize {
    match status {
        100..=599 => usize::from(status / 100),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::observe::prometheus::Prometheus;

    #[test]
    fn requests_are_counted_by_service_method_and_class() {
        let installed = testing::install::<Prometheus>("buckets: [0.01, 1]").unwrap();
        let (routed, unrouted) = (testing::routed(), testing::exchange());
        let brew = Method::from_bytes(b"BREW").unwrap();
        let records = [
            testing::record(&routed),
            testing::record(&routed),
            Record {
                method: &Method::POST,
                status: 502,
                retries: 2,
                ..testing::record(&routed)
            },
            Record {
                method: &brew,
                status: 0,
                ..testing::record(&routed)
            },
            Record {
                status: 404,
                ..testing::record(&unrouted)
            },
        ];
        for record in &records {
            installed.observers[0].request(record);
        }
        let text = testing::metrics(&installed);
        for line in [
            r#"tidegate_http_requests_total{code="2xx",method="GET",service="shop"} 2"#,
            r#"tidegate_http_requests_total{code="5xx",method="POST",service="shop"} 1"#,
            r#"tidegate_http_requests_total{code="none",method="OTHER",service="shop"} 1"#,
            r#"tidegate_http_requests_total{code="4xx",method="GET",service="none"} 1"#,
            r#"tidegate_http_request_duration_seconds_bucket{code="2xx",service="shop",le="0.01"} 2"#,
            r#"tidegate_retries_total{service="shop"} 2"#,
            r#"tidegate_retries_total{service="none"} 0"#,
        ] {
            assert!(
                text.contains(&format!("{line}\n")),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    #[ignore = "a measurement: cargo test --release -- --ignored --nocapture"]
    fn the_cost_of_counting_a_request() {
        const ROUNDS: u32 = 5_000_000;
        let installed = testing::install::<Prometheus>("").unwrap();
        let exchange = testing::routed();
        let record = testing::record(&exchange);
        let started = std::time::Instant::now();
        for _ in 0..ROUNDS {
            installed.observers[0].request(std::hint::black_box(&record));
        }
        println!("{:?} a request", started.elapsed() / ROUNDS);
    }
}
