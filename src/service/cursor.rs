//! The round robin's place among the replicas of a service.

use std::sync::atomic::{AtomicU64, Ordering};

/// The slot that the round robin served last.
///
/// A slot, unlike a position, stays right when replicas come and go. The position is kept beside
/// it as a hint that spares the search while the set is unchanged.
#[derive(Debug)]
pub struct Cursor(AtomicU64);

const NOBODY: u64 = u64::MAX;

impl Default for Cursor {
    fn default() -> Self {
        Cursor(AtomicU64::new(NOBODY))
    }
}

impl Cursor {
    /// Moves on to the next slot in `slots` (ascending, given by `slot_at`) and returns its
    /// position. Each step follows the step before it in one total order, so A B C A B C holds
    /// whatever the concurrency.
    pub fn advance(&self, len: usize, slot_at: impl Fn(usize) -> u16) -> Option<usize> {
        if len == 0 {
            return None;
        }
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = next_position(seen, len, &slot_at);
            let moved = pack(slot_at(next), next);
            match self
                .0
                .compare_exchange_weak(seen, moved, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some(next),
                Err(now) => seen = now,
            }
        }
    }
}

fn pack(slot: u16, position: usize) -> u64 {
    (u64::from(slot) << 32) | position as u64
}

fn next_position(seen: u64, len: usize, slot_at: &impl Fn(usize) -> u16) -> usize {
    if seen == NOBODY {
        return 0;
    }
    let (slot, hint) = ((seen >> 32) as u16, (seen & 0xffff_ffff) as usize);
    let next = if hint < len && slot_at(hint) == slot {
        hint + 1
    } else {
        first_above(slot, len, slot_at)
    };
    if next == len { 0 } else { next }
}

fn first_above(slot: u16, len: usize, slot_at: &impl Fn(usize) -> u16) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if slot_at(middle) <= slot {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
