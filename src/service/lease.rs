//! A request's claim on a replica.

use super::replica::Replica;
use std::os::fd::RawFd;
use std::sync::Arc;

/// Counts as in flight until it is dropped, whichever way the request ends.
#[derive(Debug)]
pub struct Lease {
    replica: Arc<Replica>,
    /// The note of the connection that the request is on.
    note: Option<usize>,
}

impl Lease {
    /// Claims `replica`, or returns `None` when it is draining or lost.
    pub fn claim(replica: &Arc<Replica>) -> Option<Lease> {
        replica.enter().then(|| Lease {
            replica: Arc::clone(replica),
            note: None,
        })
    }

    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// The request is about to be sent on this connection, and is taken back from it when the
    /// replica is lost. False: it is lost already.
    pub fn sends_on(&mut self, connection: RawFd) -> bool {
        self.put_down();
        self.note = self.replica.connections.note(connection);
        self.note.is_some()
    }

    /// The answer has begun: the request is not taken back any more.
    pub fn is_answered(&self) {
        if let Some(note) = self.note {
            self.replica.connections.answered(note);
        }
    }

    fn put_down(&mut self) {
        if let Some(note) = self.note.take() {
            self.replica.connections.forget(note);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.put_down();
        self.replica.leave();
    }
}
