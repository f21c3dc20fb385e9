//! The events of replicas, services and the process, and their words.

mod barrier;
mod kind;
mod message;

pub use barrier::Barrier;
pub use kind::Event;
