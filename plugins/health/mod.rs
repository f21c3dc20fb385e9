//! Probes: checks of a replica's health.

pub mod answers;
mod backend;
pub mod http;
pub mod tcp;
