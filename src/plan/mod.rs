//! The decisions. Pure: no async, no clock, no log; the same input gives the same plan.
//!
//! [`replicas::plan`] looks at one service as it is and says what to do next, each step with its
//! reason, and also why it does nothing. [`scaler::Scaler`] is the seam for how many are wanted.

pub mod action;
mod asleep;
pub mod backoff;
pub mod combined;
mod drain;
pub mod input;
pub mod reason;
pub mod replicas;
pub mod rest;
pub mod scaler;
mod start;
mod stop;
mod targets;
pub mod window;

#[cfg(test)]
mod tests;

pub use action::{Action, Plan};
pub use input::{Condition, ImageStatus, Input, ReplicaInput, Roll};
pub use reason::Reason;
pub use replicas::plan;
pub use rest::{Depth, Rest};
