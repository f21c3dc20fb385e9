//! Time of a simulation, in nanoseconds.

pub const NANOS: u64 = 1_000_000_000;

/// Seconds in nanoseconds.
pub fn nanos(seconds: f64) -> u64 {
    (seconds * NANOS as f64) as u64
}
