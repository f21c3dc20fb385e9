//! The way to a replica: opening connections.

pub mod dial;
pub mod peer;
