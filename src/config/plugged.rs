//! An installed plugin.

use crate::plugin::{Filter, Observer, Probe, Scaler};
use crate::service::spec::Upstream;
use serde_yaml::Value;
use std::sync::Arc;

/// An installed plugin. A reload keeps it, with all that it has counted, unless its name or its
/// values change.
pub struct Plugged {
    pub name: String,
    pub values: Value,
    /// How a health check speaks to replicas.
    pub upstream: Upstream,
    pub filters: Vec<Arc<dyn Filter>>,
    pub observers: Vec<Arc<dyn Observer>>,
    pub probe: Option<Arc<dyn Probe>>,
    pub scaler: Option<Arc<dyn Scaler>>,
    pub metrics: Vec<prometheus::Registry>,
    /// States for the next plugin of this name in this place, which may have other values.
    pub states: http::Extensions,
}
