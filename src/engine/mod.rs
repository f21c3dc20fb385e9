//! The effects: what starts and stops replicas.
//!
//! An engine is told what to do and says what it sees; it decides nothing. Every call is
//! idempotent, and a failure comes back as data that the planner can judge by its kind.

pub mod docker;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
pub mod fixed;
mod interface;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use interface::{Engine, EngineError, ErrorKind};
