//! Metrics of the snapshot at the moment of a scrape, so that no series outlives its replica.

use crate::plugin::prelude::*;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts};

pub struct Scrape {
    reader: Reader,
    descs: Vec<Desc>,
}

impl Scrape {
    pub fn new(reader: Reader) -> Self {
        let gauges = Gauges::new();
        let descs = gauges.all().into_iter().flat_map(|gauge| gauge.desc());
        Scrape {
            reader,
            descs: descs.cloned().collect(),
        }
    }
}

impl Collector for Scrape {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let gauges = Gauges::new();
        let snapshot = self.reader.load();
        gauges.engine_up.set(snapshot.engine_up.into());
        for service in snapshot.services.values() {
            gauges.show(service);
        }
        let families = gauges.all().into_iter().flat_map(|gauge| gauge.collect());
        families.collect()
    }
}

struct Gauges {
    engine_up: IntGauge,
    desired: IntGaugeVec,
    replicas: IntGaugeVec,
    in_flight: IntGaugeVec,
    held: IntGaugeVec,
    retries_refused: IntCounterVec,
    up: IntGaugeVec,
    replica_in_flight: IntGaugeVec,
    replica_requests: IntCounterVec,
}

impl Gauges {
    fn new() -> Self {
        let gauge = |name, help, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), labels).expect("ours and valid")
        };
        let by_slot = &["service", "slot"];
        Gauges {
            engine_up: IntGauge::new(
                "tidegate_engine_up",
                "Whether the container engine answers; 1 when no service needs one.",
            )
            .expect("ours and valid"),
            desired: gauge(
                "tidegate_replicas_desired",
                "Replicas that are wanted.",
                &["service"],
            ),
            replicas: gauge(
                "tidegate_replicas",
                "Replicas that exist, by where they stand in their life.",
                &["service", "state"],
            ),
            in_flight: gauge(
                "tidegate_http_requests_in_flight",
                "Requests that a replica is answering.",
                &["service"],
            ),
            held: gauge(
                "tidegate_held_requests",
                "Requests that wait for a replica to be ready, or for a place at one.",
                &["service"],
            ),
            retries_refused: IntCounterVec::new(
                Opts::new(
                    "tidegate_retries_refused_total",
                    "Requests that failed because the budget had no retry left.",
                ),
                &["service"],
            )
            .expect("ours and valid"),
            up: gauge(
                "tidegate_replica_up",
                "Whether the replica in this slot is in rotation.",
                by_slot,
            ),
            replica_in_flight: gauge(
                "tidegate_replica_requests_in_flight",
                "Requests that the replica in this slot is answering.",
                by_slot,
            ),
            replica_requests: IntCounterVec::new(
                Opts::new(
                    "tidegate_replica_requests_total",
                    "Requests sent to the replica in this slot; begins anew with each replica.",
                ),
                by_slot,
            )
            .expect("ours and valid"),
        }
    }

    fn all(&self) -> [&dyn Collector; 9] {
        [
            &self.engine_up,
            &self.desired,
            &self.replicas,
            &self.in_flight,
            &self.held,
            &self.retries_refused,
            &self.up,
            &self.replica_in_flight,
            &self.replica_requests,
        ]
    }

    fn show(&self, service: &ServiceView) {
        let name = service.name.as_str();
        self.held
            .with_label_values(&[name])
            .set(service.load.held() as i64);
        self.retries_refused
            .with_label_values(&[name])
            .inc_by(service.load.retries_refused());
        self.desired
            .with_label_values(&[name])
            .set(service.desired.into());
        for phase in Phase::ALL {
            self.replicas.with_label_values(&[name, phase.as_str()]);
        }
        let in_flight = self.in_flight.with_label_values(&[name]);
        for replica in &service.replicas {
            let phase = replica.phase.as_str();
            self.replicas.with_label_values(&[name, phase]).inc();
            // Two replicas share a slot while one replaces the other, so values are added.
            let slot = replica.slot.to_string();
            let labels = [name, slot.as_str()];
            let up = (replica.phase == Phase::Ready).into();
            self.up.with_label_values(&labels).add(up);
            let inside = replica.live.as_ref().map_or(0, |live| live.gate.inside());
            let inside = i64::try_from(inside).unwrap_or(i64::MAX);
            in_flight.add(inside);
            self.replica_in_flight
                .with_label_values(&labels)
                .add(inside);
            let requests = replica.live.as_ref().map_or(0, |live| live.requests());
            self.replica_requests
                .with_label_values(&labels)
                .inc_by(requests);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::observe::prometheus::Prometheus;
    use std::sync::Arc;

    #[test]
    fn a_scrape_shows_the_replicas_of_this_moment() {
        let (mut writer, reader) = testing::store();
        let installed = testing::install_with::<Prometheus>("", reader).unwrap();
        let name = ServiceName::new("shop");
        let id = ReplicaId::new("one");
        let address = "10.0.0.7:80".parse().unwrap();
        let live = Arc::new(writer.new_replica(
            name.clone(),
            id.clone(),
            8000,
            1,
            address,
            Arc::default(),
        ));
        let lease = testing::Lease::claim(&live).expect("the gate is open");
        let view = |slot, phase, live| ReplicaView {
            id: id.clone(),
            slot,
            generation: 1,
            phase,
            since: Moment::default(),
            address: Some(address),
            because: None,
            live,
        };
        let mut service = ServiceView {
            ready: vec![Arc::clone(&live)],
            replicas: vec![
                view(8000, Phase::Ready, Some(live)),
                view(8001, Phase::Starting, None),
            ],
            min: 1,
            max: 10,
            desired: 2,
            ..ServiceView::new(name.clone(), Arc::new(writer.new_load()))
        };
        let snapshot = |service: &ServiceView| Snapshot {
            services: [(name.clone(), Arc::new(service.clone()))].into(),
            engine_up: true,
            taken: Moment::default(),
        };
        writer.publish(snapshot(&service));
        let text = testing::metrics(&installed);
        for line in [
            "tidegate_engine_up 1",
            r#"tidegate_replicas_desired{service="shop"} 2"#,
            r#"tidegate_replicas{service="shop",state="ready"} 1"#,
            r#"tidegate_replicas{service="shop",state="starting"} 1"#,
            r#"tidegate_replicas{service="shop",state="draining"} 0"#,
            r#"tidegate_http_requests_in_flight{service="shop"} 1"#,
            r#"tidegate_retries_refused_total{service="shop"} 0"#,
            r#"tidegate_replica_up{service="shop",slot="8000"} 1"#,
            r#"tidegate_replica_up{service="shop",slot="8001"} 0"#,
            r#"tidegate_replica_requests_in_flight{service="shop",slot="8000"} 1"#,
            r#"tidegate_replica_requests_total{service="shop",slot="8000"} 1"#,
        ] {
            assert!(
                text.contains(&format!("{line}\n")),
                "{line} is not in\n{text}"
            );
        }

        drop(lease);
        service.replicas.pop();
        writer.publish(snapshot(&service));
        let text = testing::metrics(&installed);
        assert!(!text.contains("8001"), "it is gone\n{text}");
        assert!(
            text.contains(
                "tidegate_replica_requests_in_flight{service=\"shop\",slot=\"8000\"} 0\n"
            )
        );
    }
}
