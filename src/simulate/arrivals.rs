//! Requests of a trace in order, each with its arrival and its work.

use super::model::Model;
use super::random::{Lognormal, Random};
use super::time::{NANOS, nanos};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceRequest {
    /// Nanoseconds since the beginning.
    pub at: u64,
    /// Nanoseconds that it keeps a slot.
    pub service: u64,
}

/// Arrivals, which are the same for each policy and for the oracle.
#[derive(Clone)]
pub struct Arrivals<'a> {
    /// Requests per second in each second.
    rates: &'a [f64],
    /// Variation of the rate from second to second, relative to itself.
    noise: f64,
    service: Lognormal,
    times: Random,
    noises: Random,
    services: Random,
    now: u64,
    /// End of the present rate.
    until: u64,
    rate: f64,
}

impl<'a> Arrivals<'a> {
    pub fn new(rates: &'a [f64], model: &Model) -> Arrivals<'a> {
        Arrivals {
            rates,
            noise: model.noise,
            service: Lognormal::new(model.service_time.as_secs_f64(), model.service_cv),
            times: Random::new(model.seed, 1),
            noises: Random::new(model.seed, 2),
            services: Random::new(model.seed, 3),
            now: 0,
            until: 0,
            rate: 0.0,
        }
    }
}

impl Iterator for Arrivals<'_> {
    type Item = TraceRequest;

    /// Poisson arrivals: gaps are exponential, and may be drawn anew where the rate changes,
    /// because they have no memory.
    fn next(&mut self) -> Option<TraceRequest> {
        loop {
            if self.now >= self.until {
                self.now = self.until;
                let rate = self.rates.get((self.now / NANOS) as usize)?;
                self.until += NANOS;
                self.rate = rate * self.noises.gamma(self.noise);
            }
            if self.rate <= 0.0 {
                self.now = self.until;
                continue;
            }
            let at = self.now + nanos(self.times.exponential() / self.rate);
            if at >= self.until {
                self.now = self.until;
                continue;
            }
            self.now = at;
            let service = nanos(self.service.draw(&mut self.services)).max(1);
            return Some(TraceRequest { at, service });
        }
    }
}
