//! Metrics of events of replicas.

use crate::plugin::prelude::*;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts};

/// Containers start, and requests drain, within milliseconds or within minutes.
const LIFE_BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// Every value of the label `reason`.
const REASONS: [&str; 5] = [
    "exited",
    "paused",
    "half_made",
    "unhealthy",
    "never_healthy",
];

/// Every value of the label `result` of a rollout.
const ROLLOUTS: [&str; 3] = ["done", "rolled_back", "paused"];

#[derive(Clone)]
pub struct Events {
    starts: IntCounterVec,
    start_failures: IntCounterVec,
    start_durations: HistogramVec,
    health_checks: IntCounterVec,
    replacements: IntCounterVec,
    ejections: IntCounterVec,
    drain_durations: HistogramVec,
    scale_events: IntCounterVec,
    rollouts: IntCounterVec,
    refused: IntCounterVec,
    orders: IntCounterVec,
    reloads: IntCounterVec,
    last_reload: IntGauge,
}

impl Events {
    pub fn new() -> Self {
        let counter = |name, help, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels).expect("ours and valid")
        };
        let histogram = |name, help| {
            let opts = HistogramOpts::new(name, help).buckets(LIFE_BUCKETS.to_vec());
            HistogramVec::new(opts, &["service"]).expect("ours and valid")
        };
        let events = Events {
            starts: counter(
                "tidegate_container_starts_total",
                "Attempts to start a replica.",
                &["service"],
            ),
            start_failures: counter(
                "tidegate_container_start_failures_total",
                "Attempts to start a replica that the engine refused.",
                &["service"],
            ),
            start_durations: histogram(
                "tidegate_container_start_duration_seconds",
                "Time from a replica's start to its first successful health check.",
            ),
            health_checks: counter(
                "tidegate_health_checks_total",
                "Health checks made.",
                &["service", "result"],
            ),
            replacements: counter(
                "tidegate_replacements_total",
                "Replicas that left rotation because they failed, to be replaced.",
                &["service", "reason"],
            ),
            ejections: counter(
                "tidegate_ejections_total",
                "Replicas ejected for a while because of their answers.",
                &["service"],
            ),
            drain_durations: histogram(
                "tidegate_drain_duration_seconds",
                "Time from leaving rotation to the last answer.",
            ),
            scale_events: counter(
                "tidegate_scale_events_total",
                "Changes of the wanted number of replicas.",
                &["service", "direction"],
            ),
            rollouts: counter(
                "tidegate_rollouts_total",
                "Rollouts that ended.",
                &["service", "result"],
            ),
            refused: counter(
                "tidegate_connections_refused_total",
                "Clients' connections that were not let in.",
                &["reason"],
            ),
            orders: counter(
                "tidegate_acme_orders_total",
                "Orders of certificates that ended, at any authority.",
                &["result"],
            ),
            reloads: counter(
                "tidegate_config_reloads_total",
                "Attempts to reload the configuration.",
                &["result"],
            ),
            last_reload: IntGauge::new(
                "tidegate_config_last_reload_successful",
                "Whether the configuration in use is the one last loaded.",
            )
            .expect("ours and valid"),
        };
        events.last_reload.set(1);
        for result in ["success", "failure"] {
            events.reloads.with_label_values(&[result]);
            events.orders.with_label_values(&[result]);
        }
        for reason in Barrier::ALL {
            events.refused.with_label_values(&[reason.label()]);
        }
        events
    }

    /// Creates the counters of `service` at zero: `increase()` misses the step of a counter that is
    /// first seen at 1.
    fn begin(&self, service: &str) {
        self.starts.with_label_values(&[service]);
        self.start_failures.with_label_values(&[service]);
        for result in ["ok", "failed"] {
            self.health_checks.with_label_values(&[service, result]);
        }
        self.ejections.with_label_values(&[service]);
        for reason in REASONS {
            self.replacements.with_label_values(&[service, reason]);
        }
        for result in ROLLOUTS {
            self.rollouts.with_label_values(&[service, result]);
        }
        for direction in ["up", "down"] {
            self.scale_events.with_label_values(&[service, direction]);
        }
    }

    fn all(&self) -> [&dyn Collector; 13] {
        [
            &self.starts,
            &self.start_failures,
            &self.start_durations,
            &self.health_checks,
            &self.replacements,
            &self.ejections,
            &self.drain_durations,
            &self.scale_events,
            &self.rollouts,
            &self.refused,
            &self.orders,
            &self.reloads,
            &self.last_reload,
        ]
    }

    fn rollout(&self, service: &str, result: &str) {
        self.rollouts.with_label_values(&[service, result]).inc();
    }

    fn order(&self, result: &str) {
        self.orders.with_label_values(&[result]).inc();
    }

    pub fn count(&self, event: &Event) {
        let service = event.service().map_or("", ServiceName::as_str);
        match event {
            Event::Starting { .. } => self.starts.with_label_values(&[service]).inc(),
            Event::StartFailed { .. } => self.start_failures.with_label_values(&[service]).inc(),
            Event::Ready { after, .. } => {
                if let Some(after) = after {
                    let durations = self.start_durations.with_label_values(&[service]);
                    durations.observe(after.as_secs_f64());
                }
            }
            Event::Checked { ok, .. } => {
                let result = if *ok { "ok" } else { "failed" };
                self.health_checks
                    .with_label_values(&[service, result])
                    .inc();
            }
            Event::Sick { ailment, .. } => {
                let reason = ailment.label();
                self.replacements
                    .with_label_values(&[service, reason])
                    .inc();
            }
            Event::Ejected { .. } => self.ejections.with_label_values(&[service]).inc(),
            Event::Drained { took, .. } => {
                let durations = self.drain_durations.with_label_values(&[service]);
                durations.observe(took.as_secs_f64());
            }
            Event::Scaled { from, to, .. } => {
                let direction = if to > from { "up" } else { "down" };
                self.scale_events
                    .with_label_values(&[service, direction])
                    .inc();
            }
            Event::RolledOut { .. } => self.rollout(service, "done"),
            Event::RolledBack { .. } => self.rollout(service, "rolled_back"),
            Event::RolloutFailed { back_to: None, .. } => self.rollout(service, "paused"),
            Event::TurnedAway { reason } => {
                self.refused.with_label_values(&[reason.label()]).inc();
            }
            Event::CertificateIssued { .. } => self.order("success"),
            Event::CertificateFailed { .. } => self.order("failure"),
            Event::Reloaded { result } => {
                self.last_reload.set(result.is_ok().into());
                let result = if result.is_ok() { "success" } else { "failure" };
                self.reloads.with_label_values(&[result]).inc();
            }
            // Failed requests are counted with finished requests.
            Event::RequestFailed { .. } => {}
            // The snapshot at scrape time shows the result of these events.
            Event::PortTaken { .. }
            | Event::Adopted { .. }
            | Event::NotReady { .. }
            | Event::Draining { .. }
            | Event::Returned { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::PauseFailed { .. }
            | Event::ResumeFailed { .. }
            | Event::Stopped { .. }
            | Event::StopFailed { .. }
            | Event::Rolling { .. }
            | Event::Decided { .. }
            | Event::RolloutFailed { .. }
            | Event::LastLogs { .. }
            | Event::EngineUp
            | Event::EngineDown { .. } => {}
        }
    }
}

/// One collector for all: the registry calls collectors in any order, and none may be called before
/// the counters of every service exist.
pub struct SinceBegun {
    reader: Reader,
    events: Events,
    descs: Vec<Desc>,
}

impl SinceBegun {
    pub fn new(reader: Reader, events: Events) -> Self {
        let descs = events.all().into_iter().flat_map(|metric| metric.desc());
        SinceBegun {
            reader,
            descs: descs.cloned().collect(),
            events,
        }
    }
}

impl Collector for SinceBegun {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for name in self.reader.load().services.keys() {
            self.events.begin(name.as_str());
        }
        let all = self.events.all().into_iter();
        all.flat_map(|metric| metric.collect()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::observe::prometheus::Prometheus;
    use std::sync::Arc;

    #[test]
    fn the_first_scrape_shows_zero_for_what_has_not_happened_yet() {
        // The registry calls in another order each time.
        for _ in 0..20 {
            let (mut writer, reader) = testing::store();
            let installed = testing::install_with::<Prometheus>("", reader).unwrap();
            let name = ServiceName::new("shop");
            let service = ServiceView::new(name.clone(), Arc::new(writer.new_load()));
            writer.publish(Snapshot {
                services: [(name, Arc::new(service))].into(),
                engine_up: true,
                taken: Moment::default(),
            });
            let text = testing::metrics(&installed);
            for zero in [
                r#"tidegate_container_starts_total{service="shop"} 0"#,
                r#"tidegate_container_start_failures_total{service="shop"} 0"#,
                r#"tidegate_health_checks_total{result="failed",service="shop"} 0"#,
                r#"tidegate_replacements_total{reason="exited",service="shop"} 0"#,
                r#"tidegate_ejections_total{service="shop"} 0"#,
                r#"tidegate_scale_events_total{direction="up",service="shop"} 0"#,
                r#"tidegate_rollouts_total{result="done",service="shop"} 0"#,
            ] {
                assert!(
                    text.contains(&format!("{zero}\n")),
                    "{zero} is not in\n{text}"
                );
            }
        }
    }

    #[test]
    fn what_happens_to_replicas_is_counted() {
        let installed = testing::install::<Prometheus>("").unwrap();
        let service = ServiceName::new("shop");
        let id = ReplicaId::new("0123456789abcdef");
        let slot = 8000;
        let (shop, some) = (|| service.clone(), || id.clone());
        let events = [
            Event::Starting {
                service: shop(),
                slot,
            },
            Event::StartFailed {
                service: shop(),
                slot,
                why: "no image".into(),
            },
            Event::Ready {
                service: shop(),
                slot,
                id: some(),
                after: Some(Duration::from_millis(300)),
            },
            Event::Checked {
                service: shop(),
                ok: true,
            },
            Event::Checked {
                service: shop(),
                ok: false,
            },
            Event::Sick {
                service: shop(),
                slot,
                id: some(),
                ailment: Ailment::Paused,
            },
            Event::Ejected {
                service: shop(),
                slot,
                id: some(),
                row: 5,
                during: Duration::from_secs(30),
            },
            Event::Drained {
                service: shop(),
                slot,
                id: some(),
                took: Duration::from_secs(3),
                left: 0,
            },
            Event::Scaled {
                service: shop(),
                from: 1,
                to: 2,
                because: String::new(),
            },
            Event::RolledOut {
                service: shop(),
                to: "shop:2".into(),
                took: Duration::from_secs(9),
            },
            Event::RolledBack {
                service: shop(),
                to: "shop:2".into(),
            },
            Event::TurnedAway {
                reason: Barrier::FullForAddress,
            },
            Event::CertificateFailed {
                name: "a.example.com".into(),
                why: String::new(),
                next_try: std::time::SystemTime::now(),
                is_served: false,
            },
            Event::Reloaded {
                result: Ok("no change".into()),
            },
            Event::Reloaded {
                result: Err("line 3".into()),
            },
        ];
        for event in &events {
            installed.observers[0].event(event);
        }
        let text = testing::metrics(&installed);
        for line in [
            r#"tidegate_container_starts_total{service="shop"} 1"#,
            r#"tidegate_container_start_failures_total{service="shop"} 1"#,
            r#"tidegate_container_start_duration_seconds_bucket{service="shop",le="0.5"} 1"#,
            r#"tidegate_health_checks_total{result="ok",service="shop"} 1"#,
            r#"tidegate_health_checks_total{result="failed",service="shop"} 1"#,
            r#"tidegate_replacements_total{reason="paused",service="shop"} 1"#,
            r#"tidegate_ejections_total{service="shop"} 1"#,
            r#"tidegate_drain_duration_seconds_sum{service="shop"} 3"#,
            r#"tidegate_scale_events_total{direction="up",service="shop"} 1"#,
            r#"tidegate_rollouts_total{result="done",service="shop"} 1"#,
            r#"tidegate_rollouts_total{result="rolled_back",service="shop"} 1"#,
            r#"tidegate_connections_refused_total{reason="full"} 0"#,
            r#"tidegate_connections_refused_total{reason="full_for_address"} 1"#,
            r#"tidegate_acme_orders_total{result="success"} 0"#,
            r#"tidegate_acme_orders_total{result="failure"} 1"#,
            r#"tidegate_config_reloads_total{result="success"} 1"#,
            r#"tidegate_config_reloads_total{result="failure"} 1"#,
            "tidegate_config_last_reload_successful 0",
        ] {
            assert!(
                text.contains(&format!("{line}\n")),
                "{line} is not in\n{text}"
            );
        }
    }

    #[test]
    fn every_reason_begins_at_zero() {
        let ailments = [
            Ailment::Exited { code: None },
            Ailment::Paused,
            Ailment::HalfMade,
            Ailment::Unhealthy { why: String::new() },
            Ailment::NeverHealthy {
                after: Duration::ZERO,
                why: String::new(),
            },
        ];
        assert_eq!(ailments.each_ref().map(Ailment::label), REASONS);
    }
}
