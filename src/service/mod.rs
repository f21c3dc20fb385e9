//! The nouns: what a service is, what a replica is, and the picture of both that requests read.
//!
//! Imports nothing of ours. One task holds the [`store::Writer`]; everybody else holds a
//! [`store::Reader`].

pub mod answers;
pub mod budget;
pub mod cursor;
pub mod decided;
pub mod event;
pub mod latency;
pub mod load;
pub mod network;
pub mod replica;
pub mod ring;
pub mod snapshot;
pub mod spec;
pub mod store;
pub mod time;
pub mod usage;
