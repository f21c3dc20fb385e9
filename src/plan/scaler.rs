//! The seam for scaling policies: a pure function from what was counted to how many are wanted.

use super::window::Window;
use crate::service::time::Moment;
use std::time::Duration;

/// A scaling policy. It holds no state: the same window gives the same decision.
pub trait Scaler: Send + Sync {
    /// Whether a request to `path` counts.
    fn counts(&self, _path: &str) -> bool {
        true
    }

    /// How many replicas are wanted. The caller holds the result within the service's bounds.
    fn decide(&self, window: &Window, current: u32, now: Moment) -> Decision;

    /// How far back `decide` looks.
    fn history(&self) -> Duration;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub replicas: u32,
    /// The inputs and the formula, for a person to read.
    pub because: String,
    /// The next instant at which the answer could change without a new request.
    pub wake: Option<Moment>,
}
