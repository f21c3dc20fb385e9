//! The test's own knowledge, and the promises that it holds the control loop to: one file a
//! promise, and `state.rs` for the knowledge.

mod count;
mod events;
mod requests;
mod rotation;
mod starts;
mod state;
mod witness;

pub use state::{INTERVAL, PARALLELISM_MAX, STARTS_MAX, Shared, Stuck};
