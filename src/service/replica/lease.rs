//! A request's claim on a replica.

use super::gate::UNLIMITED;
use super::idle_pool::Use;
use super::live::Replica;
use super::stream::ReplicaStream;
use std::os::fd::RawFd;
use std::sync::Arc;
use tokio::time::Instant;

/// A claim on a replica. Counts as in flight until it is dropped, however the request ends.
#[derive(Debug)]
pub struct Lease {
    replica: Arc<Replica>,
    since: Instant,
    /// Note of the connection that the request is on.
    note: Option<usize>,
}

impl Lease {
    /// Claims `replica`; `None` when it is draining or lost.
    pub fn claim(replica: &Arc<Replica>) -> Option<Lease> {
        Lease::claim_within(replica, UNLIMITED)
    }

    /// Claims `replica`; `None` also when `limit` others have it already.
    pub fn claim_within(replica: &Arc<Replica>, limit: u64) -> Option<Lease> {
        replica.enter(limit).then(|| Lease {
            replica: Arc::clone(replica),
            since: Instant::now(),
            note: None,
        })
    }

    pub fn replica(&self) -> &Arc<Replica> {
        &self.replica
    }

    /// Notes the connection that the request is about to be sent on. A lost replica takes it back
    /// if it `may_go_elsewhere`, otherwise when the replica is gone. False: lost already.
    pub fn sends_on(&mut self, connection: RawFd, may_go_elsewhere: bool) -> bool {
        self.put_down();
        self.note = self.replica.connections.note(connection, may_go_elsewhere);
        self.note.is_some()
    }

    /// Notes that the answer has begun: the request is not taken back any more.
    pub fn is_answered(&self) {
        self.replica.doubt.answered();
        if let Some(note) = self.note {
            self.replica.connections.answered(note);
        }
    }

    /// An idle connection for this request, if there is one.
    pub fn reuse(&self, used: Use) -> Option<ReplicaStream> {
        let now = match used {
            // The claim was a moment ago, which spares a look at the clock.
            Use::MayBeRepeated => self.since,
            Use::Once => Instant::now(),
        };
        self.replica.connections.idle_pool.take(now, used)
    }

    /// Returns a connection that is still good to the idle pool.
    pub fn keep(&mut self, connection: ReplicaStream) {
        self.put_down();
        let connections = &self.replica.connections;
        if !connections.is_lost() {
            connections.idle_pool.give(connection);
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
        self.replica.leave(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::replica::ReplicaId;
    use crate::service::spec::ServiceName;
    use crate::service::store::store;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_service_learns_how_long_each_request_kept_its_replica() {
        let (writer, _reader) = store();
        let load = Arc::new(writer.new_load());
        let address = ([127, 0, 0, 1], 80).into();
        let id = ReplicaId::new("a");
        let name = ServiceName::new("web");
        let replica = writer.new_replica(name, id, 8000, 1, address, Arc::default());
        let replica = Arc::new(replica.counted_in(&load));
        let (short, long) = (Lease::claim(&replica), Lease::claim(&replica));
        tokio::time::advance(Duration::from_millis(250)).await;
        drop(short);
        assert_eq!(
            (load.completed(), load.busy()),
            (1, Duration::from_millis(250))
        );
        // An hour says no more about the last minute than a minute does.
        tokio::time::advance(Duration::from_secs(3_600)).await;
        drop(long);
        assert_eq!(
            (load.completed(), load.busy()),
            (2, Duration::from_millis(60_250))
        );
    }
}
