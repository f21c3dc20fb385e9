//! A request's claim on a replica.

use super::replica::Replica;
use std::sync::Arc;
use tokio::time::Instant;

/// Counts as in flight until it is dropped, whichever way the request ends.
#[derive(Debug)]
pub struct Lease {
    replica: Arc<Replica>,
    since: Instant,
}

impl Lease {
    /// Claims `replica`, or returns `None` when it is draining.
    pub fn claim(replica: &Arc<Replica>) -> Option<Lease> {
        replica.enter().then(|| Lease {
            replica: Arc::clone(replica),
            since: Instant::now(),
        })
    }

    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.replica.leave(self.since.elapsed());
    }
}
