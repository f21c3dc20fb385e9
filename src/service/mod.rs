//! The nouns: what a service is, what a replica is, and the picture of both that requests read.
//!
//! Imports nothing of ours. One task holds the [`store::Writer`]; everybody else holds a
//! [`store::Reader`].

pub mod answers;
pub mod budget;
pub mod connections;
pub mod decided;
pub mod dials;
pub mod difference;
pub mod doubt;
pub mod environment;
pub mod event;
pub mod fault;
pub mod gate;
pub mod kept;
pub mod latency;
pub mod lease;
pub mod load;
pub mod manual;
pub mod network;
pub mod outlier;
pub mod replica;
pub mod ring;
pub mod snapshot;
pub mod spec;
pub mod store;
pub mod time;
pub mod usage;

mod sync {
    pub use std::sync::atomic::{AtomicU64, Ordering};
}
