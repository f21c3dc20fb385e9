//! Simulation of scaling policies over a trace of traffic, for `tidegate simulate`.
//!
//! The scaler and the planner are the very ones that run; only replicas and requests are imagined
//! ([`world`]). A seed makes a world, and each policy and the [`oracle`] get the same one.

pub mod access_log;
pub mod arrivals;
mod model;
pub mod oracle;
mod outcome;
pub mod peers;
pub mod plot;
pub mod random;
mod replica;
mod serving;
mod simulation;
mod steering;
mod tally;
mod time;
pub mod trace;
mod world;

pub use model::Model;
pub use outcome::{Outcome, Second};
pub use simulation::{Policy, Simulation};
