//! Metrics: one file for each source of numbers, which are finished requests, events, and the
//! snapshot at scrape time.

mod events;
mod plugin;
mod register;
mod requests;
mod scrape;

pub use plugin::Prometheus;
