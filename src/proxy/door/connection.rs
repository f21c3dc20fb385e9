//! A client's HTTP/1 connection, as the stream below the parser and the hooks above it share it.

use super::extent::Extent;
use super::phase::{Phase, Progress};
use super::wire::Wire;
use pingora::prelude::Session;
use std::sync::Arc;

#[derive(Debug)]
pub struct Connection {
    pub wire: Arc<Wire>,
    request: Progress,
}

impl Connection {
    pub fn new(wire: Wire) -> Connection {
        Connection {
            wire: Arc::new(wire),
            request: Progress::default(),
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
