//! Traces for an OpenTelemetry collector.

mod export;
mod plugin;
mod span;
mod traceparent;

pub use plugin::Otlp;
