//! A simulation: one trace, one model, and any number of policies.

use super::arrivals::Arrivals;
use super::model::Model;
use super::oracle;
use super::outcome::Outcome;
use super::trace::Trace;
use super::world::ImaginedWorld;
use crate::plan::scaler::Scaler;
use std::sync::Arc;
use std::time::Duration;

/// A policy under the name that it has in the table.
#[derive(Clone)]
pub struct Policy {
    pub name: String,
    pub scaler: Arc<dyn Scaler>,
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

    /// Length of the trace in whole seconds.
    pub fn seconds(&self) -> u64 {
        self.rates.len() as u64
    }

    /// Plays the trace under a policy; `progress` is called after each second of it.
    pub fn run(&self, scaler: &dyn Scaler, progress: impl FnMut(u64)) -> Outcome {
        let world = ImaginedWorld::new(self.model, scaler, self.start, self.load(0));
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
