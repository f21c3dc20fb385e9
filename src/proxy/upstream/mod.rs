//! Connections to replicas.

pub mod dial;
pub mod link;
pub mod peer;
pub mod secured;
pub mod streams;
