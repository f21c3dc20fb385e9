//! Chance, the same for the same seed.

use std::time::Duration;

/// xorshift64*, good enough to shuffle faults.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        // Neighbouring seeds must not begin alike, and zero would stay zero.
        let mixed = (seed.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Rng(mixed ^ (mixed >> 31) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.next() % (to - from + 1))
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len());
        from.get(at).cloned()
    }

    /// How long something takes: mostly no time at all, sometimes very long.
    pub fn delay(&mut self, longest_ms: u64) -> Duration {
        match self.below(10) {
            0..=4 => Duration::ZERO,
            5..=7 => self.millis(1, longest_ms / 100 + 1),
            8 => self.millis(1, longest_ms / 10 + 1),
            _ => self.millis(1, longest_ms),
        }
    }
}
