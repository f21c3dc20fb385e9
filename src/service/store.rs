//! One writer, many readers.
//!
//! The [`Writer`] is not `Clone` and lives in the control loop. A [`Reader`] is, and its
//! [`load`](Reader::load) never waits.

use super::load::ServiceLoad;
use super::replica::doubt::Doubt;
use super::replica::{Replica, ReplicaId};
use super::snapshot::Snapshot;
use super::spec::{ServiceName, Slot};
use arc_swap::{ArcSwap, Guard};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

pub fn store() -> (Writer, Reader) {
    let shared = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
    let (published, watch) = watch::channel(());
    let writer = Writer {
        shared: Arc::clone(&shared),
        published,
        wake: Arc::new(Notify::new()),
    };
    (writer, Reader { shared, watch })
}

#[derive(Debug)]
pub struct Writer {
    shared: Arc<ArcSwap<Snapshot>>,
    published: watch::Sender<()>,
    wake: Arc<Notify>,
}

impl Writer {
    pub fn publish(&mut self, snapshot: Snapshot) {
        self.shared.store(Arc::new(snapshot));
        self.published.send_replace(());
    }

    /// Resolves when the request path has something to say: a draining replica is empty, or a
    /// service got its first request, or one while it slept.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    pub fn new_load(&self) -> ServiceLoad {
        ServiceLoad::new(Arc::clone(&self.wake))
    }

    pub fn new_replica(
        &self,
        service: ServiceName,
        id: ReplicaId,
        slot: Slot,
        generation: u64,
        address: SocketAddr,
        doubt: Arc<Doubt>,
    ) -> Replica {
        Replica::new(
            service,
            id,
            slot,
            generation,
            address,
            doubt,
            Arc::clone(&self.wake),
        )
    }
}

#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<ArcSwap<Snapshot>>,
    watch: watch::Receiver<()>,
}

impl Reader {
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.shared.load()
    }

    /// Counts everything published so far as known to [`changed`](Reader::changed).
    pub fn seen(&mut self) {
        self.watch.mark_unchanged();
    }

    /// Resolves at the next publication that is not known yet; an error means that the writer is gone.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.watch.changed().await
    }
}
