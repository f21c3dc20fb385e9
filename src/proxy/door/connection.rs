//! A client's HTTP/1 connection, as the stream below the parser and the hooks above it share it.

use super::extent::Extent;
use super::phase::{Phase, Progress};
use super::wire::Wire;
use pingora::prelude::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

#[derive(Debug)]
pub struct Connection {
    pub wire: Arc<Wire>,
    request: Progress,
    /// Whether flushing waits, because more is about to be written.
    gathering: AtomicU8,
    /// Bytes that may still be read in this turn of the connection's task.
    readable: AtomicUsize,
}

/// Bytes of frames that are read in one turn, so that a flood keeps no other task waiting.
const TURN_BYTES: usize = 64 << 10;

/// Values of `gathering`.
const NOT_GATHERING: u8 = 0;
const GATHERING: u8 = 1;
const OWES_A_FLUSH: u8 = 2;

impl Connection {
    pub fn new(wire: Wire) -> Connection {
        Connection {
            wire: Arc::new(wire),
            request: Progress::default(),
            gathering: AtomicU8::new(NOT_GATHERING),
            readable: AtomicUsize::new(TURN_BYTES),
        }
    }

    pub fn phase(&self) -> Phase {
        self.request.phase()
    }

    pub fn enter(&self, phase: Phase) {
        self.request.enter(phase);
    }

    /// Notes that a head has been read and how long its body is; `None` is a body in chunks.
    pub fn expect(&self, body: Option<u64>) {
        self.request.expect(body);
    }

    /// Begins a turn, and has flushing wait for `gathered`: frames of several streams leave in one call to the kernel.
    pub fn gather(&self) {
        self.gathering.store(GATHERING, Ordering::Relaxed);
        self.readable.store(TURN_BYTES, Ordering::Relaxed);
    }

    /// Ends `gather`. Returns whether something waits to be flushed.
    pub fn gathered(&self) -> bool {
        self.gathering.swap(NOT_GATHERING, Ordering::Relaxed) == OWES_A_FLUSH
    }

    /// Whether more may be read in this turn.
    pub(super) fn may_read(&self) -> bool {
        self.readable.load(Ordering::Relaxed) > 0
    }

    pub(super) fn has_read(&self, bytes: usize) {
        let left = self.readable.load(Ordering::Relaxed);
        self.readable
            .store(left.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// Whether a flush has to wait, which is noted.
    pub(super) fn puts_off_flush(&self) -> bool {
        let gathers = self.gathering.load(Ordering::Relaxed) != NOT_GATHERING;
        if gathers {
            self.gathering.store(OWES_A_FLUSH, Ordering::Relaxed);
        }
        gathers
    }

    pub(super) fn body(&self) -> Extent {
        self.request.body()
    }

    /// The one that `session` came on.
    pub fn of(session: &Session) -> Option<&Connection> {
        Connection::kept(session).map(Arc::as_ref)
    }

    pub fn shared(session: &Session) -> Option<Arc<Connection>> {
        Connection::kept(session).cloned()
    }

    fn kept(session: &Session) -> Option<&Arc<Connection>> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        digest.user_data.as_ref()?.downcast_ref()
    }
}
