//! The atomics of the gate; its loom test puts loom's in their place.

pub use std::sync::atomic::{AtomicU64, Ordering};
