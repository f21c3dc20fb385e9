//! The gate of a replica: counts the requests inside, and closes for a drain.
//!
//! A reader may hold an old snapshot and claim a replica that has just been told to drain. Count
//! and door are one atomic word, so a claim either comes before the closing and is counted, or
//! comes after it and is refused. No request enters after the writer has seen a closed, empty gate.
//!
//! The atomics come from `super::sync`, so that the loom test can compile this very file with
//! loom's.

use super::sync::{AtomicU64, Ordering};

/// The highest bit is the door, the next one is set while a request waits for a place, and the
/// others count the requests inside.
const CLOSED: u64 = 1 << 63;
const AWAITED: u64 = 1 << 62;
const INSIDE: u64 = AWAITED - 1;

/// No limit. Small enough that a closed gate is never below a limit.
pub const UNLIMITED: u64 = AWAITED;

/// The gate of a replica.
#[derive(Debug)]
pub struct Gate(AtomicU64);

// `fetch_update` is `try_update` by now, but not among loom's atomics.
#[allow(deprecated)]
impl Gate {
    pub fn open() -> Self {
        Gate(AtomicU64::new(0))
    }

    /// Enters; false if the gate is closed or `limit` are inside.
    pub fn enter(&self, limit: u64) -> bool {
        let one_more = |word: u64| (word & !AWAITED < limit).then_some(word + 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .is_ok()
    }

    /// Asks for a wake-up by the next leave, if the gate is full. Both happen in one atomic step, so
    /// no place becomes free unnoticed.
    pub fn await_place(&self, limit: u64) -> Vacancy {
        let ask = |word: u64| {
            (word & !AWAITED < CLOSED && word & !AWAITED >= limit).then_some(word | AWAITED)
        };
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, ask)
        {
            Ok(_) => Vacancy::Awaited,
            Err(word) if word & CLOSED != 0 => Vacancy::Closed,
            Err(_) => Vacancy::Free,
        }
    }

    /// Leaves the gate, which was entered before.
    pub fn leave(&self) -> Leave {
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        let is_awaited = before & AWAITED != 0;
        if is_awaited {
            // A woken request looks again, and asks again if need be.
            self.0.fetch_and(!AWAITED, Ordering::AcqRel);
        }
        Leave {
            emptied: before & !AWAITED == CLOSED | 1,
            is_awaited,
        }
    }

    /// Closes the gate; returns how many are still inside.
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

/// Places of a gate with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vacancy {
    Free,
    /// None is free; the next leave wakes.
    Awaited,
    Closed,
}

/// Effects of a leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leave {
    /// The closed gate is empty now.
    pub emptied: bool,
    /// A request waits for the place.
    pub is_awaited: bool,
}
