//! What happens to a client's connection before and below its requests.
//!
//! Pingora reads a head before it calls any hook, and gives each byte of it as much time as the
//! whole should have. So its parser reads through a stream of ours, which knows in which part of
//! a request the connection is: the parser's end tells it when a request begins, and the hooks
//! tell it the rest.

mod extent;
mod front;
mod guarded;
mod pace;
mod passed_on;
mod places;
mod proxy_header;
mod unsent;
pub mod words;

pub use front::{Connected, Front};
pub use guarded::{AHEAD_MAX, Guarded};
pub use pace::Alarm;

use super::request::forwarded::Peer;
use super::settings::Settings;
use extent::Extent;
use pingora::prelude::Session;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// What a connection may cost.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub connections: u32,
    pub connections_per_address: u32,
    /// For a whole head, and for a PROXY header before it.
    pub header_timeout: Duration,
    /// Bytes a second that a client must send of a body and take of an answer, all in all; 0 is
    /// no such limit.
    pub min_rate_bytes: u64,
    /// Where trusted proxies begin with a PROXY header.
    pub proxy_protocol: Vec<SocketAddr>,
}

/// In which part of a request a connection is.
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
    /// Whatever is said, either way, is not ours.
    Tunnel,
    /// Its request waits and was not sent yet; its end is all that is looked for.
    Held,
    /// Its request was sent, and the answer is awaited whether it is still there or not.
    Owed,
}

/// In place of a body's length, which has 19 digits at most.
const CHUNKED: u64 = u64::MAX;

/// A client's connection, as the stream below the parser and the hooks above it see it.
#[derive(Debug)]
pub struct Connection {
    /// Who is at the other end: who connected, or whom a PROXY header named.
    pub peer: Option<Peer>,
    phase: AtomicU8,
    /// The length of the body under way, or `CHUNKED`.
    body: AtomicU64,
    over: AtomicBool,
}

impl Connection {
    fn new(peer: Option<IpAddr>) -> Connection {
        Connection {
            peer: peer.map(Peer::from),
            phase: AtomicU8::new(Phase::Head as u8),
            body: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    /// The one that `session` came on.
    pub fn of(session: &Session) -> Option<&Connection> {
        Connection::kept(session).map(Arc::as_ref)
    }

    pub fn shared(session: &Session) -> Option<Arc<Connection>> {
        Connection::kept(session).cloned()
    }

    fn kept(session: &Session) -> Option<&Arc<Connection>> {
        let kept = session
            .digest()?
            .proxy_digest
            .as_ref()?
            .user_data
            .as_ref()?;
        kept.downcast_ref()
    }

    /// The head of a request has been read; its body has this length, or comes in chunks.
    pub fn expect(&self, body: Option<u64>) {
        self.body.store(body.unwrap_or(CHUNKED), Ordering::Relaxed);
        self.enter(match body {
            Some(0) => Phase::Answer,
            _ => Phase::Body,
        });
    }

    fn body(&self) -> Extent {
        match self.body.load(Ordering::Relaxed) {
            0 => Extent::Over,
            CHUNKED => Extent::chunked(),
            length => Extent::Length(length),
        }
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            3 => Phase::Answer,
            4 => Phase::Tunnel,
            5 => Phase::Held,
            _ => Phase::Owed,
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
