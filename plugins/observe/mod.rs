//! Observers: metrics, logs and traces.

pub mod access_log;
pub mod otlp;
pub mod prometheus;
