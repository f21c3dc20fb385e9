//! One service as the configuration declares it.

use crate::plugin::{Probe, Scaler};
use crate::service::spec::Spec;
use std::sync::Arc;

/// A service as the control loop is given it.
#[derive(Clone)]
pub struct Managed {
    pub spec: Arc<Spec>,
    pub probe: Arc<dyn Probe>,
    /// `None`: nobody scales it.
    pub scaler: Option<Arc<dyn Scaler>>,
}
