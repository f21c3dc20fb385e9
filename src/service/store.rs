//! The store of the snapshot, with one writer and many readers.
//!
//! The [`Writer`] is not `Clone` and lives in the control loop. A [`Reader`] is `Clone`, and its
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

/// An empty store.
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

/// The only writer of the snapshot.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<ArcSwap<Snapshot>>,
    published: watch::Sender<()>,
    wake: Arc<Notify>,
}

impl Writer {
    /// Replaces the snapshot, and wakes whoever waits for a change.
    pub fn publish(&mut self, snapshot: Snapshot) {
        self.shared.store(Arc::new(snapshot));
        self.published.send_replace(());
    }

    /// Resolves when the request path wakes the control loop: a draining replica is empty, a replica
    /// was ejected, or a service got its first request, or one while it slept.
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

/// A reader of the snapshot.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<ArcSwap<Snapshot>>,
    watch: watch::Receiver<()>,
}

impl Reader {
    /// The latest snapshot.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.shared.load()
    }

    /// Marks everything published so far as seen.
    pub fn seen(&mut self) {
        self.watch.mark_unchanged();
    }

    /// Resolves at the first publication after the last one seen. Fails once the writer is gone.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.watch.changed().await
    }
}
