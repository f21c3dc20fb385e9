//! When the engine was asked last, and when it is asked next.

use crate::engine::Place;
use crate::service::time::Moment;

/// Listings.
#[derive(Default)]
pub(super) struct Observing {
    /// Counts the listings; a listing may only be trusted about what happened before it began.
    pub(super) sequence: u64,
    pub(super) under_way: bool,
    pub(super) wanted: bool,
    pub(super) next: Moment,
    pub(super) seen_once: bool,
    /// Nothing is planned before a listing that began after this one.
    pub(super) plans_after: u64,
    /// Whether there was one.
    pub(super) fresh: bool,
    /// Places for new replicas, the best one first.
    pub(super) places: Vec<Place>,
}

/// Measurements of replicas.
#[derive(Default)]
pub(super) struct Measuring {
    pub(super) under_way: bool,
    pub(super) next: Moment,
}
