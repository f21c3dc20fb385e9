//! What a scaling policy would have done with a day of traffic: `tidegate simulate`.
//!
//! The scaler and the planner are the very ones that run; only replicas and requests are imagined
//! ([`world`]). A seed makes a world, and each policy and the [`oracle`] get the same one.

pub mod access_log;
pub mod arrivals;
pub mod oracle;
pub mod peers;
pub mod plot;
pub mod random;
pub mod trace;
mod world;

use crate::plan::scaler::Scaler;
use crate::service::spec::Bounds;
use arrivals::Arrivals;
use std::sync::Arc;
use std::time::Duration;
use trace::Trace;

const NANOS: u64 = 1_000_000_000;

fn nanos(seconds: f64) -> u64 {
    (seconds * NANOS as f64) as u64
}

/// How replicas and requests behave. What varies is lognormal; a `cv` is its standard deviation
/// divided by its mean.
#[derive(Clone, Debug)]
pub struct Model {
    /// How many requests a replica works on at once; more wait at the edge, first come first
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
    /// How much the rate of arrivals varies from second to second, relative to itself; beyond
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

/// A policy under the name that it has in the table.
#[derive(Clone)]
pub struct Policy {
    pub name: String,
    pub scaler: Arc<dyn Scaler>,
}

/// What a policy did with a trace.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub requests: u64,
    /// Waited longer than the model's patience, and were served.
    pub late: u64,
    /// Were sent away, or lost with their replica.
    pub lost: u64,
    /// From the start of each replica until it was gone.
    pub replica_seconds: f64,
    pub starts: u64,
    /// Changes of direction less than five minutes after the last change.
    pub flips: u64,
    /// The most replicas at once.
    pub peak: u32,
    /// The longest time without a break in which fewer replicas were ready than the trace's
    /// rate takes, in seconds.
    pub short_for: u64,
    /// One a second.
    pub seconds: Vec<Second>,
}

/// A second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// The replicas that the trace's rate keeps busy on average.
    pub load: f32,
    pub wanted: u32,
    pub ready: u32,
    /// Waiting at the end of it.
    pub waiting: u32,
}

impl Outcome {
    /// The share of requests that waited too long or were lost.
    pub fn violations(&self) -> f64 {
        (self.late + self.lost) as f64 / self.requests.max(1) as f64
    }

    pub fn starts_a_day(&self) -> f64 {
        self.starts as f64 * 86_400.0 / self.seconds.len().max(1) as f64
    }
}

/// A trace and a model of what it meets.
pub struct Simulation<'a> {
    /// Requests per second in each second.
    rates: Vec<f64>,
    start: Duration,
    model: &'a Model,
}

impl<'a> Simulation<'a> {
    pub fn new(trace: &Trace, model: &'a Model) -> Simulation<'a> {
        Simulation {
            rates: trace.rates(),
            start: trace.start,
            model,
        }
    }

    /// How long the trace is, in whole seconds.
    pub fn seconds(&self) -> u64 {
        self.rates.len() as u64
    }

    /// What the policy does; `progress` is told of each second that passed.
    pub fn run(&self, scaler: &dyn Scaler, progress: impl FnMut(u64)) -> Outcome {
        let world = world::World::new(self.model, scaler, self.start, self.load(0));
        world.run(
            self.arrivals(),
            self.seconds(),
            |at| self.load(at),
            progress,
        )
    }

    /// The replica-seconds of the oracle, and its most replicas at once.
    pub fn oracle(&self) -> (f64, u32) {
        oracle::oracle(self.arrivals(), self.model, self.seconds())
    }

    fn arrivals(&self) -> Arrivals<'_> {
        Arrivals::new(&self.rates, self.model)
    }

    /// The replicas that the rate in this second keeps busy.
    fn load(&self, second: u64) -> f64 {
        let rate = self.rates.get(second as usize).copied().unwrap_or_default();
        rate * self.model.service_time.as_secs_f64() / f64::from(self.model.slots)
    }
}
