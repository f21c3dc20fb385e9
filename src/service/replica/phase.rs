//! The phases of a replica's life.

use std::fmt;

/// Phase of a replica's life; `src/README.md` draws them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Running, not yet healthy.
    Starting,
    /// In rotation.
    Ready,
    /// Out of rotation, finishing what it has.
    Draining,
    /// Out of rotation because it failed; about to be replaced.
    Sick,
    /// Paused because its service is idle; a request wakes it.
    Asleep,
    /// Being stopped and removed.
    Stopping,
}

impl Phase {
    pub const ALL: [Phase; 6] = [
        Phase::Starting,
        Phase::Ready,
        Phase::Draining,
        Phase::Sick,
        Phase::Asleep,
        Phase::Stopping,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
            Phase::Sick => "sick",
            Phase::Asleep => "asleep",
            Phase::Stopping => "stopping",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
