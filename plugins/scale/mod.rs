//! Scalers: how many replicas a service wants.

mod behavior;
pub mod concurrency;
mod load;
pub mod requests;
pub mod rps;
pub mod schedule;
