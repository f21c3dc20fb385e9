//! The plugins that a request passes.

use crate::plugin::{Filter, Observer};
use std::sync::Arc;

/// Filters and observers, in the order in which they run.
#[derive(Clone, Default)]
pub struct Chain {
    pub filters: Vec<Arc<dyn Filter>>,
    pub observers: Vec<Arc<dyn Observer>>,
}
