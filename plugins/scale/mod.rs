//! Scalers: policies for the number of replicas.

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
