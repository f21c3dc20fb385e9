//! A replica as the request path knows it.

use super::connections::Connections;
use super::doubt::Doubt;
use super::fault::{Fault, Faults};
use super::gate::Gate;
use super::id::ReplicaId;
use super::outlier::Outlier;
use crate::service::load::ServiceLoad;
use crate::service::spec::{OutlierDetection, ServiceName, Slot};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// Share of a replica that has been ready for long, in thousandths.
pub const WHOLE_SHARE: u64 = 1000;

/// Least share during a slow start, Envoy's default.
const LEAST_SHARE: u64 = 100;

/// A replica as the request path knows it.
#[derive(Debug)]
pub struct Replica {
    pub service: ServiceName,
    pub id: ReplicaId,
    pub slot: Slot,
    /// Number that is never used twice, so that a recycled address never meets an old pooled
    /// connection.
    pub generation: u64,
    pub address: SocketAddr,
    pub gate: Gate,
    pub doubt: Arc<Doubt>,
    pub connections: Connections,
    pub outlier: Outlier,
    /// Requests that failed here, also those that another replica answered.
    pub faults: Faults,
    requests: AtomicU64,
    created: Instant,
    /// Time of the last recovery, in milliseconds after `created`.
    well_since: AtomicU64,
    /// Share of a turn that has built up during a slow start, in thousandths.
    credit: AtomicU64,
    /// Counters of the service.
    load: Option<Arc<ServiceLoad>>,
    /// Wakes the control loop when a draining replica has answered its last request.
    wake: Arc<Notify>,
    dismissal: watch::Sender<Option<Instant>>,
}

impl Replica {
    pub fn new(
        service: ServiceName,
        id: ReplicaId,
        slot: Slot,
        generation: u64,
        address: SocketAddr,
        doubt: Arc<Doubt>,
        wake: Arc<Notify>,
    ) -> Self {
        Replica {
            service,
            id,
            slot,
            generation,
            address,
            gate: Gate::open(),
            doubt,
            connections: Connections::to(address),
            outlier: Outlier::default(),
            faults: Faults::default(),
            requests: AtomicU64::new(0),
            created: Instant::now(),
            well_since: AtomicU64::new(0),
            credit: AtomicU64::new(0),
            load: None,
            wake,
            dismissal: watch::Sender::default(),
        }
    }

    /// Counts each finished request in `load`.
    pub fn counted_in(mut self, load: &Arc<ServiceLoad>) -> Self {
        self.load = Some(Arc::clone(load));
        self
    }

    /// Counts the time from a request's arrival to the beginning of its answer.
    pub fn answered(&self, after: Duration) {
        if let Some(load) = &self.load {
            load.answered(after);
        }
    }

    /// A failure of a request at this replica, just now.
    pub fn fault(&self, why: String) -> Fault {
        Fault {
            at: SystemTime::now(),
            slot: self.slot,
            id: self.id.clone(),
            why,
        }
    }

    pub(super) fn enter(&self, limit: u64) -> bool {
        let entered = self.gate.enter(limit);
        if entered {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        entered
    }

    pub(super) fn leave(&self, took: Duration) {
        if let Some(load) = &self.load {
            load.served(took);
        }
        let left = self.gate.leave();
        if left.emptied {
            self.wake.notify_one();
        }
        if left.is_awaited
            && let Some(load) = &self.load
        {
            load.place_is_free();
        }
    }

    /// Ejects the replica because of its answers; returns for how long, or `None` if it is ejected
    /// already.
    pub fn eject(&self, terms: &OutlierDetection) -> Option<Duration> {
        let during = self.outlier.eject(terms)?;
        // So that the next snapshot shows it.
        self.wake.notify_one();
        Some(during)
    }

    /// Marks the replica as failed: no request enters, and those that wait for an answer are taken
    /// back.
    pub fn lose(&self) {
        self.gate.close();
        self.connections.lose();
    }

    /// Marks the replica as well again, under the same address.
    pub fn find_again(&self) {
        let since = self.created.elapsed().as_millis() as u64;
        self.well_since.store(since, Ordering::Relaxed);
        self.connections.find_again();
        self.gate.reopen();
    }

    /// Ends the replica. WebSockets, which have no end of their own, must be over `within` this
    /// time; if that is zero, everything on its connections is cut off now.
    pub fn dismiss(&self, within: Duration) {
        if within.is_zero() {
            self.gate.close();
            self.connections.end();
        }
        self.dismissal.send_replace(Some(Instant::now() + within));
    }

    /// Resolves when the replica has been dismissed and the time after that is over.
    pub async fn dismissed(&self) {
        let mut dismissal = self.dismissal.subscribe();
        // The sender is a part of self, so this does not fail.
        let at = dismissal.wait_for(Option::is_some).await;
        if let Some(at) = at.ok().and_then(|at| *at) {
            sleep_until(at).await;
        }
    }

    /// Share of requests, in thousandths: it grows evenly over `slow_start` from when the replica
    /// became ready, or well again.
    pub fn share(&self, slow_start: Duration) -> u64 {
        if slow_start.is_zero() {
            return WHOLE_SHARE;
        }
        let age = self.created.elapsed().as_millis() as u64;
        let age = age.saturating_sub(self.well_since.load(Ordering::Relaxed));
        let whole = (slow_start.as_millis() as u64).max(1);
        (age.saturating_mul(WHOLE_SHARE) / whole).clamp(LEAST_SHARE, WHOLE_SHARE)
    }

    /// Whether the replica takes this turn: its share of all turns.
    pub fn takes_its_turn(&self, slow_start: Duration) -> bool {
        let share = self.share(slow_start);
        if share == WHOLE_SHARE {
            return true;
        }
        let before = self
            .credit
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |credit| {
                Some((credit + share) % WHOLE_SHARE)
            });
        before.is_ok_and(|credit| credit + share >= WHOLE_SHARE)
    }

    /// Number of requests sent to this replica since it became ready.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
