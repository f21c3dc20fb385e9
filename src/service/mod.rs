//! The nouns: services, replicas, events, and the snapshot that requests read.
//!
//! ```text
//! spec/      a service as it is configured
//! replica/   a replica, and the parts of it that requests touch
//! event/     everything that can happen
//! snapshot   the immutable picture of all services; store: its one writer and many readers
//! load       what requests count for a service: answers, latency, budget, cursor, ring
//! ```
//!
//! This room imports no other. One task holds the [`store::Writer`]; everybody else holds a
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
