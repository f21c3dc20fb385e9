//! Observers: tell the outside what happens here.

pub mod access_log;
pub mod otlp;
pub mod prometheus;
