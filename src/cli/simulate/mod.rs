//! `tidegate simulate`: scaling policies over a trace of traffic.

mod command;
mod policies;
mod report;

pub use command::Simulate;
