//! Metrics of TLS, which no plugin has: handshakes, and the ends of certificates.

use crate::certs::{CertName, Certificates};
use crate::proxy::tls::HandshakeCounts;
use arc_swap::{ArcSwap, ArcSwapOption};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

const HANDSHAKES: &str = "tidegate_tls_handshakes_total";
const HANDSHAKES_HELP: &str = "TLS handshakes by result and version.";
const EXPIRY: &str = "tidegate_tls_certificate_expiry_seconds";
const EXPIRY_HELP: &str = "Unix time at which the certificate of a host ends.";

/// The metrics; nothing is kept for them but what they are read from.
#[derive(Clone)]
pub struct TlsMetrics(Arc<Sources>);

struct Sources {
    certificates: Certificates,
    /// Names in the configuration.
    hosts: ArcSwap<Vec<CertName>>,
    handshakes: ArcSwapOption<HandshakeCounts>,
}

impl TlsMetrics {
    pub fn new(certificates: Certificates) -> TlsMetrics {
        TlsMetrics(Arc::new(Sources {
            certificates,
            hosts: ArcSwap::default(),
            handshakes: ArcSwapOption::empty(),
        }))
    }

    pub fn name_hosts(&self, hosts: Vec<CertName>) {
        self.0.hosts.store(Arc::new(hosts));
    }

    pub fn count_handshakes(&self, counts: Arc<HandshakeCounts>) {
        self.0.handshakes.store(Some(counts));
    }

    /// Present values.
    pub fn gather(&self) -> Vec<MetricFamily> {
        [self.handshakes(), self.expiry()]
            .into_iter()
            .flatten()
            .collect()
    }

    fn handshakes(&self) -> Option<MetricFamily> {
        let counts = self.0.handshakes.load_full()?;
        let metrics = counts.all().map(|(result, version, count)| {
            let mut counter = Counter::default();
            counter.set_value(count as f64);
            let mut metric = labelled(&[("result", result), ("version", version)]);
            metric.set_counter(counter);
            metric
        });
        family(HANDSHAKES, HANDSHAKES_HELP, MetricType::COUNTER, metrics)
    }

    fn expiry(&self) -> Option<MetricFamily> {
        let (hosts, table) = (self.0.hosts.load(), self.0.certificates.load());
        let metrics = hosts.iter().filter_map(|host| {
            let ends = table
                .find(host)?
                .not_after
                .duration_since(UNIX_EPOCH)
                .ok()?;
            let mut gauge = Gauge::default();
            gauge.set_value(ends.as_secs() as f64);
            let mut metric = labelled(&[("host", &host.to_string())]);
            metric.set_gauge(gauge);
            Some(metric)
        });
        family(EXPIRY, EXPIRY_HELP, MetricType::GAUGE, metrics)
    }
}

fn labelled(labels: &[(&str, &str)]) -> Metric {
    let labels = labels.iter().map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    });
    let mut metric = Metric::default();
    metric.set_label(labels.collect());
    metric
}

/// `None` without a value, which Prometheus shows nothing of.
fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    metrics: impl Iterator<Item = Metric>,
) -> Option<MetricFamily> {
    let metrics: Vec<Metric> = metrics.collect();
    if metrics.is_empty() {
        return None;
    }
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    Some(family)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::certificates;
    use crate::proxy::tls::{HandshakeResult, TlsVersion};

    #[test]
    fn handshakes_are_shown_by_result_and_version() {
        let metrics = TlsMetrics::new(certificates().2);
        assert!(metrics.gather().is_empty());
        let counts = Arc::new(HandshakeCounts::default());
        metrics.count_handshakes(Arc::clone(&counts));
        counts.add(HandshakeResult::Resumed, Some(TlsVersion::Tls13));
        let text = prometheus::TextEncoder::new().encode_to_string(&metrics.gather());
        let text = text.unwrap();
        let line = r#"tidegate_tls_handshakes_total{result="resumed",version="1.3"} 1"#;
        assert!(text.contains(line), "{text}");
    }
}
