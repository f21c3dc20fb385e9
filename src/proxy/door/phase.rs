//! The part of a request that is due on a connection.
//!
//! ```text
//!          first byte        head read            body read
//!   Idle ------------> Head -----------> Body ------------------> Answer --> Idle
//!                                          |  without a replica     ^
//!                                          '------> Held ------> Owed
//! ```
//!
//! `Tunnel` follows an answer with status 101, `Streams` the preface of HTTP/2; both last until the
//! connection ends.

use super::extent::Extent;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Between two requests.
    Idle,
    /// A request's head is arriving.
    Head,
    /// Its body is.
    Body,
    /// Nothing is expected of the client but to take the answer.
    Answer,
    /// The bytes of either side are not ours.
    Tunnel,
    /// Its request waits and was not sent yet; only the client's end is looked for.
    Held,
    /// Its request was sent, and the answer is awaited whether the client is still there or not.
    Owed,
    /// Many requests share the connection as streams, each in a phase of its own.
    Streams,
}

/// In place of a body's length, which has 19 digits at most.
const CHUNKED: u64 = u64::MAX;

/// State of the request under way. Shared by the stream, which acts on it, and the code above it,
/// which knows the request.
#[derive(Debug)]
pub struct Progress {
    phase: AtomicU8,
    /// The length of the body under way, or `CHUNKED`.
    body: AtomicU64,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress {
            phase: AtomicU8::new(Phase::Head as u8),
            body: AtomicU64::new(0),
        }
    }
}

impl Progress {
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            3 => Phase::Answer,
            4 => Phase::Tunnel,
            5 => Phase::Held,
            6 => Phase::Owed,
            _ => Phase::Streams,
        }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Notes that a head has been read and how long its body is; `None` is a body in chunks.
    pub fn expect(&self, body: Option<u64>) {
        self.body.store(body.unwrap_or(CHUNKED), Ordering::Relaxed);
        self.enter(match body {
            Some(0) => Phase::Answer,
            _ => Phase::Body,
        });
    }

    /// The body under way, of which nothing was read yet.
    pub fn body(&self) -> Extent {
        match self.body.load(Ordering::Relaxed) {
            0 => Extent::Over,
            CHUNKED => Extent::chunked(),
            length => Extent::Length(length),
        }
    }
}
