//! Metrics of all plugins together.

use prometheus::proto::{Counter, MetricFamily};
use std::collections::BTreeMap;

/// Puts families of one name together and adds up counters with the same labels: a plugin that
/// is listed for two services counts in two places.
pub fn merge(families: impl IntoIterator<Item = MetricFamily>) -> Vec<MetricFamily> {
    let mut merged: BTreeMap<String, MetricFamily> = BTreeMap::new();
    for family in families {
        let Some(whole) = merged.get_mut(family.name()) else {
            merged.insert(family.name().to_owned(), family);
            continue;
        };
        for metric in family.get_metric() {
            let metrics = whole.mut_metric();
            match metrics
                .iter_mut()
                .find(|known| known.get_label() == metric.get_label())
            {
                None => metrics.push(metric.clone()),
                Some(known) => {
                    let mut sum = Counter::default();
                    sum.set_value(
                        known.get_counter().get_value() + metric.get_counter().get_value(),
                    );
                    known.set_counter(sum);
                }
            }
        }
    }
    merged.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{IntCounterVec, Opts, Registry};

    fn registry(counts: &[(&str, u64)]) -> Registry {
        let registry = Registry::new();
        let counter = IntCounterVec::new(Opts::new("lost_total", "Lost."), &["where"]).unwrap();
        for (label, count) in counts {
            counter.with_label_values(&[label]).inc_by(*count);
        }
        registry.register(Box::new(counter)).unwrap();
        registry
    }

    #[test]
    fn counters_of_the_same_name_and_labels_are_added_up() {
        let families = [registry(&[("a", 1), ("b", 2)]), registry(&[("b", 3)])];
        let merged = merge(families.iter().flat_map(Registry::gather));
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&merged)
            .unwrap();
        assert_eq!(text.matches("# TYPE lost_total").count(), 1);
        assert!(text.contains("lost_total{where=\"a\"} 1\n"));
        assert!(text.contains("lost_total{where=\"b\"} 5\n"));
    }
}
