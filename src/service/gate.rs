//! Counting requests in, and closing the door behind the last one.
//!
//! A reader may hold yesterday's snapshot and claim a replica that has just been told to drain.
//! The count and the door are one word, so each claim is either before the closing, and counted
//! by it, or after it, and refused: no request gets in after the writer has seen a closed, empty
//! gate.
//!
//! The atomics come from `super::sync`, so that the loom test can compile this very file with
//! loom's.

use super::sync::{AtomicU64, Ordering};

/// The highest bit is the door, the others count who is inside.
const CLOSED: u64 = 1 << 63;

#[derive(Debug)]
pub struct Gate(AtomicU64);

impl Gate {
    pub fn open() -> Self {
        Gate(AtomicU64::new(0))
    }

    /// Goes in, unless the gate is closed.
    pub fn enter(&self) -> bool {
        let one_more = |word: u64| (word & CLOSED == 0).then_some(word + 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .is_ok()
    }

    /// Goes out; true when that emptied a closed gate.
    pub fn leave(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == CLOSED | 1
    }

    /// Lets nobody in any more; returns how many are still inside.
    pub fn close(&self) -> u64 {
        self.0.fetch_or(CLOSED, Ordering::AcqRel) & !CLOSED
    }

    pub fn reopen(&self) {
        self.0.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    pub fn inside(&self) -> u64 {
        self.0.load(Ordering::Acquire) & !CLOSED
    }
}
