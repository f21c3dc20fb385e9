//! An engine without effects, for tests: it does what its script says, on tokio's clock, the
//! same way every time.
//!
//! Clones share one world: the test holds one and turns the screws, the control loop another.

mod call;
mod engine;
mod halves;
mod script;
mod world;

#[cfg(test)]
mod tests;

pub use call::{Asked, Call};
pub use engine::FakeEngine;
