//! Engines, which start and stop replicas.
//!
//! An engine carries out orders and reports what exists; it decides nothing. Every call is idempotent,
//! and a failure is data, which the planner judges by its kind.

pub mod docker;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
pub mod fixed;
mod interface;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod world;

pub use interface::{Engine, EngineError, ErrorKind};
pub use world::{Abilities, Place, World};
