//! Routes: where a claim leads.

use crate::plugin::Scaler;
use crate::proxy::chain::Chain;
use crate::service::spec::{Forward, ServiceName};
use std::sync::Arc;

/// The service of a claim, and the terms for its requests.
pub struct Route {
    pub service: ServiceName,
    pub forward: Forward,
    /// Decides which requests count; `None` counts none.
    pub scaler: Option<Arc<dyn Scaler>>,
    pub chain: Chain,
    /// Passes `%2F` on as it is.
    pub keeps_encoded_slashes: bool,
}
