//! Counting requests in, and closing the door behind the last one.
//!
//! A reader may hold yesterday's snapshot and claim a replica that has just been told to drain.
//! So a claim counts first and then looks at the door, while the writer closes the door first and
//! then looks at the count. With sequential consistency at least one of them sees the other: no
//! request gets in after the writer has seen an empty, closed gate.
//!
//! The atomics come from `super::sync`, so that the loom test can compile this very file with
//! loom's.

use super::sync::{AtomicBool, AtomicU64, Ordering::SeqCst};

#[derive(Debug)]
pub struct Gate {
    inside: AtomicU64,
    closed: AtomicBool,
}

impl Gate {
    pub fn open() -> Self {
        Gate {
            inside: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// Goes in, unless the gate is closed.
    pub fn enter(&self) -> bool {
        self.inside.fetch_add(1, SeqCst);
        if self.closed.load(SeqCst) {
            self.inside.fetch_sub(1, SeqCst);
            return false;
        }
        true
    }

    /// Goes out; true when that emptied a closed gate.
    pub fn leave(&self) -> bool {
        self.inside.fetch_sub(1, SeqCst) == 1 && self.closed.load(SeqCst)
    }

    /// Lets nobody in any more; returns how many are still inside.
    pub fn close(&self) -> u64 {
        self.closed.store(true, SeqCst);
        self.inside.load(SeqCst)
    }

    pub fn reopen(&self) {
        self.closed.store(false, SeqCst);
    }

    pub fn inside(&self) -> u64 {
        self.inside.load(SeqCst)
    }
}
