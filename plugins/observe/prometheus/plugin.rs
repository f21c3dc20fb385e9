//! The plugin itself.

use super::register::register;
use super::{events, requests, scrape};
use crate::plugin::prelude::*;
use ::prometheus::core::Collector;
use ::prometheus::process_collector::ProcessCollector;
use ::prometheus::{IntGaugeVec, Opts, Registry as Metrics};

/// Counts requests, replicas and events, for `/metrics`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// Upper bounds, in seconds, of the buckets of request durations.
    #[serde(default = "default_buckets")]
    buckets: Vec<f64>,
}

fn default_buckets() -> Vec<f64> {
    vec![
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    ]
}

/// Each bucket is a time series for every service and status class.
const BUCKETS_MAX: usize = 50;

impl Plugin for Prometheus {
    const NAME: &'static str = "prometheus";
    const ALWAYS: bool = true;

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        check(&self.buckets)?;
        let metrics = Metrics::new();
        build_info(&metrics);
        // The start time comes from the kernel, which neither fails nor blocks.
        let process = ProcessCollector::for_self();
        let events = events::Events::new();
        let begun = events::SinceBegun::new(hooks.reader(), events.clone());
        let scrape = scrape::Scrape::new(hooks.reader());
        let log_lines = log_writer::dropped_log_lines().clone();
        let collectors: [Box<dyn Collector>; 4] = [
            Box::new(process),
            Box::new(begun),
            Box::new(scrape),
            Box::new(log_lines),
        ];
        for collector in collectors {
            metrics.register(collector).expect("each name is used once");
        }
        hooks.observer(Counting {
            requests: requests::Requests::new(&metrics, self.buckets),
            events,
        });
        hooks.metrics(metrics);
        Ok(())
    }
}

fn check(buckets: &[f64]) -> Result<(), PluginError> {
    let rising = buckets.is_sorted_by(|low, high| low < high);
    let positive = buckets
        .iter()
        .all(|bound| bound.is_finite() && *bound > 0.0);
    match rising && positive && (1..=BUCKETS_MAX).contains(&buckets.len()) {
        true => Ok(()),
        false => Err(PluginError::new(
            "`buckets` must be 1 to 50 rising numbers of seconds, as in [0.1, 1, 10]",
        )),
    }
}

struct Counting {
    requests: requests::Requests,
    events: events::Events,
}

impl Observer for Counting {
    fn request(&self, record: &Record<'_>) {
        self.requests.count(record);
    }

    fn event(&self, event: &Event) {
        self.events.count(event);
    }
}

fn build_info(metrics: &Metrics) {
    let opts = Opts::new(
        "tidegate_build_info",
        "Always 1; the labels hold the version.",
    );
    let info = register(metrics, IntGaugeVec::new(opts, &["version"]));
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_and_the_process_are_described() {
        let installed = testing::install::<Prometheus>("").unwrap();
        let text = testing::metrics(&installed);
        let version = env!("CARGO_PKG_VERSION");
        assert!(text.contains(&format!("tidegate_build_info{{version=\"{version}\"}} 1\n")));
        assert!(text.contains("\nprocess_resident_memory_bytes "), "{text}");
    }

    #[test]
    fn buckets_that_do_not_rise_are_refused() {
        for yaml in [
            "[]",
            "[1, 1]",
            "[2, 1]",
            "[0, 1]",
            "[-1]",
            "[1, .inf]",
            "[.nan]",
        ] {
            let error = testing::install::<Prometheus>(&format!("buckets: {yaml}")).err();
            let error = error.expect(yaml);
            assert!(
                error.contains("rising numbers of seconds"),
                "{yaml}: {error}"
            );
        }
    }
}
