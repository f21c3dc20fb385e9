//! Registration of metrics.

use ::prometheus::Registry;
use ::prometheus::core::Collector;

/// Registers a metric and returns it.
pub fn register<C>(metrics: &Registry, metric: ::prometheus::Result<C>) -> C
where
    C: Collector + Clone + 'static,
{
    let metric = metric.expect("names and labels are ours and valid");
    let registered = metrics.register(Box::new(metric.clone()));
    registered.expect("each name is used once");
    metric
}
