//! The model of replicas and requests.

use crate::service::spec::Bounds;
use std::time::Duration;

/// Behaviour of replicas and requests. Times are lognormal; a `cv` is the standard deviation divided
/// by the mean.
#[derive(Clone, Debug)]
pub struct Model {
    /// Requests that a replica works on at once; more wait at the edge, first come first
    /// served.
    pub slots: u32,
    pub service_time: Duration,
    pub service_cv: f64,
    /// From the decision to start a replica until it is ready.
    pub start_time: Duration,
    pub start_cv: f64,
    /// The mean life of a ready replica before it crashes, taking its requests with it; zero: it
    /// does not.
    pub crashes_after: Duration,
    pub bounds: Bounds,
    /// A request that waits longer before a replica takes it is a violation.
    pub patience: Duration,
    /// A request that waits longer is sent away.
    pub queue_timeout: Duration,
    /// Variation of the rate of arrivals from second to second, relative to itself; beyond
    /// that, arrivals are Poisson.
    pub noise: f64,
    pub seed: u64,
}

impl Default for Model {
    fn default() -> Self {
        Model {
            slots: 4,
            service_time: Duration::from_millis(250),
            service_cv: 1.0,
            start_time: Duration::from_secs(5),
            start_cv: 0.2,
            crashes_after: Duration::ZERO,
            bounds: Bounds { min: 1, max: 100 },
            patience: Duration::from_millis(500),
            queue_timeout: Duration::from_secs(10),
            noise: 0.1,
            seed: 1,
        }
    }
}
