//! Probes: checks of a replica's health.

pub mod answers;
mod backend;
mod dial;
pub mod grpc;
pub mod http;
mod status;
pub mod tcp;
