//! An engine without effects, for tests: it follows a script on tokio's clock, deterministically.
//!
//! Clones share one world: the test has one and changes the script, the control loop has another.

mod call;
mod engine;
mod halves;
mod script;
mod world;

#[cfg(test)]
mod tests;

pub use call::{Call, CallKind};
pub use engine::FakeEngine;
