//! Scalers: how many replicas a service wants.

mod behavior;
pub mod concurrency;
pub mod cpu;
pub mod latency;
mod load;
pub mod memory;
pub mod requests;
pub mod rps;
pub mod schedule;
mod utilization;
