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

/// The highest bit is the door, the next one says that somebody waits for a place, and the others
/// count who is inside.
const CLOSED: u64 = 1 << 63;
const AWAITED: u64 = 1 << 62;
const INSIDE: u64 = AWAITED - 1;

/// As many as like to may be inside. Small enough that a closed gate is never below a limit.
pub const UNLIMITED: u64 = AWAITED;

#[derive(Debug)]
pub struct Gate(AtomicU64);

// `fetch_update` is `try_update` by now, but not among loom's atomics.
#[allow(deprecated)]
impl Gate {
    pub fn open() -> Self {
        Gate(AtomicU64::new(0))
    }

    /// Goes in, unless the gate is closed or `limit` are inside.
    pub fn enter(&self, limit: u64) -> bool {
        let one_more = |word: u64| (word & !AWAITED < limit).then_some(word + 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .is_ok()
    }

    /// Has whoever leaves next say so, if it is full. That is one step with finding it full, so
    /// no place becomes free unnoticed.
    pub fn await_place(&self, limit: u64) -> Place {
        let ask = |word: u64| {
            (word & !AWAITED < CLOSED && word & !AWAITED >= limit).then_some(word | AWAITED)
        };
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, ask)
        {
            Ok(_) => Place::Awaited,
            Err(word) if word & CLOSED != 0 => Place::Closed,
            Err(_) => Place::Free,
        }
    }

    pub fn leave(&self) -> Left {
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        let is_awaited = before & AWAITED != 0;
        if is_awaited {
            // Whoever is told now looks again, and asks again if need be.
            self.0.fetch_and(!AWAITED, Ordering::AcqRel);
        }
        Left {
            emptied: before & !AWAITED == CLOSED | 1,
            is_awaited,
        }
    }

    /// Lets nobody in any more; returns how many are still inside.
    pub fn close(&self) -> u64 {
        self.0.fetch_or(CLOSED, Ordering::AcqRel) & INSIDE
    }

    pub fn reopen(&self) {
        self.0.fetch_and(!CLOSED, Ordering::AcqRel);
    }

    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) & CLOSED == 0
    }

    pub fn inside(&self) -> u64 {
        self.0.load(Ordering::Acquire) & INSIDE
    }
}

/// What there is to be had of a gate with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Free,
    /// All are taken; who leaves will say so.
    Awaited,
    Closed,
}

/// What somebody's leaving means to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// It emptied a closed gate.
    pub emptied: bool,
    /// Somebody waits for the place.
    pub is_awaited: bool,
}
