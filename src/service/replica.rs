//! One running copy of a service.

use super::connections::Connections;
use super::doubt::Doubt;
use super::fault::Faults;
use super::gate::Gate;
use super::load::ServiceLoad;
use super::manual::ManualDeploy;
use super::outlier::Outlier;
use super::spec::{ImageId, OutlierDetection, ServiceName, Slot, SpecHash};
use super::sync::{AtomicU64, Ordering};
use super::time::Moment;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// The engine's own name for a replica: a container id, or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub Arc<str>);

impl ReplicaId {
    pub fn new(id: impl AsRef<str>) -> Self {
        ReplicaId(Arc::from(id.as_ref()))
    }

    /// Twelve characters, as `docker ps` shows them.
    pub fn short(&self) -> &str {
        match self.0.char_indices().nth(12) {
            Some((end, _)) if self.0.bytes().all(|b| b.is_ascii_hexdigit()) => &self.0[..end],
            _ => &self.0,
        }
    }

    /// With the slot, which of an address is only its position in a list.
    pub fn on(&self, slot: Slot) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| match self.0.parse::<SocketAddr>() {
            Ok(_) => write!(f, "{self}"),
            Err(_) => write!(f, "{self} on {slot}"),
        })
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

/// What a replica gets that has been ready for long, in thousandths.
pub const WHOLE_SHARE: u64 = 1000;

/// What it gets at the least while it starts slowly; Envoy's default.
const LEAST_SHARE: u64 = 100;

/// A replica as the request path knows it.
#[derive(Debug)]
pub struct Replica {
    pub service: ServiceName,
    pub id: ReplicaId,
    pub slot: Slot,
    /// Never used twice, so a recycled address never meets an old pooled connection.
    pub generation: u64,
    pub address: SocketAddr,
    pub gate: Gate,
    pub doubt: Arc<Doubt>,
    pub connections: Connections,
    pub outlier: Outlier,
    /// Requests that it failed, also those that another one answered.
    pub faults: Faults,
    requests: AtomicU64,
    created: Instant,
    /// When it became well again, in milliseconds after that.
    well_since: AtomicU64,
    /// What is left of its share of turns while it starts slowly, in thousandths of one.
    credit: AtomicU64,
    /// Told of each request that is over.
    load: Option<Arc<ServiceLoad>>,
    /// Rung when a draining replica has answered its last request.
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

    /// Has `load` told of each request that is over.
    pub fn counted_in(mut self, load: &Arc<ServiceLoad>) -> Self {
        self.load = Some(Arc::clone(load));
        self
    }

    /// Has the service know how long after its arrival a request's answer began.
    pub fn answered(&self, after: Duration) {
        if let Some(load) = &self.load {
            load.answered(after);
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

    /// Leaves it out for a while because of its answers; returns for how long.
    pub fn eject(&self, terms: &OutlierDetection) -> Option<Duration> {
        let during = self.outlier.eject(terms)?;
        // So that the next picture says so.
        self.wake.notify_one();
        Some(during)
    }

    /// It failed: nobody gets in any more, and who waits for an answer waits no longer.
    pub fn lose(&self) {
        self.gate.close();
        self.connections.lose();
    }

    /// It failed and is well again, under the same address.
    pub fn find_again(&self) {
        let since = self.created.elapsed().as_millis() as u64;
        self.well_since.store(since, Ordering::Relaxed);
        self.connections.find_again();
        self.gate.reopen();
    }

    /// It has left. What has no end of its own, a WebSocket, must be over within this time; when
    /// there is none, it is gone, and everything on its connections is over now.
    pub fn dismiss(&self, within: Duration) {
        if within.is_zero() {
            self.gate.close();
            self.connections.end();
        }
        self.dismissal.send_replace(Some(Instant::now() + within));
    }

    /// Resolves when it has left and the time after that is over.
    pub async fn dismissed(&self) {
        let mut dismissal = self.dismissal.subscribe();
        // The sender is a part of self, so this does not fail.
        let at = dismissal.wait_for(Option::is_some).await;
        if let Some(at) = at.ok().and_then(|at| *at) {
            sleep_until(at).await;
        }
    }

    /// Its share of requests, in thousandths of a whole one: it grows evenly over `slow_start`
    /// from when it became ready, or well again.
    pub fn share(&self, slow_start: Duration) -> u64 {
        if slow_start.is_zero() {
            return WHOLE_SHARE;
        }
        let age = self.created.elapsed().as_millis() as u64;
        let age = age.saturating_sub(self.well_since.load(Ordering::Relaxed));
        let whole = (slow_start.as_millis() as u64).max(1);
        (age.saturating_mul(WHOLE_SHARE) / whole).clamp(LEAST_SHARE, WHOLE_SHARE)
    }

    /// Whether it takes its turn, as it does in its share of them.
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

    /// Requests sent to this replica since it became ready.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// What the engine sees of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub service: ServiceName,
    pub id: ReplicaId,
    pub slot: Slot,
    pub generation: u64,
    pub spec: SpecHash,
    /// What the configuration asked for when it was made, and what it was made from instead, as
    /// text: read only when a restart has to know. Unknown for one that an older version made.
    pub made: Option<Made>,
    /// The image that it runs, whatever its name stands for by now.
    pub image: Option<ImageId>,
    pub state: RunState,
    /// Where it may be reached, best first.
    pub addresses: Vec<SocketAddr>,
}

/// How a replica came to be made as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub declared: SpecHash,
    /// A template as JSON.
    pub template: Arc<str>,
    /// `None`: the image was the file's.
    pub manual: Option<ManualDeploy>,
    /// How many replicas were wanted then; `None`: nobody wrote it down.
    pub wanted: Option<u32>,
    pub vouched: Vouched,
}

/// How far the record of how a replica was made can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// This Tidegate wrote it.
    Sealed,
    /// An older version wrote it, without a seal; the names of templates mean the same.
    Unsealed,
    /// The key that it was sealed with is lost, so the names of templates mean nothing.
    KeyLost,
}

/// The engine's view of the process, before any health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Made but not started: the engine, or Tidegate, died in between.
    Created,
    Running,
    Paused,
    Exited {
        /// As the process left it; 128 + signal when it was killed. Unknown when the engine
        /// does not say.
        code: Option<i64>,
    },
}

/// Where a replica stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Running, not yet healthy.
    Starting,
    /// In rotation.
    Ready,
    /// Out of rotation, finishing what it has.
    Draining,
    /// Out of rotation because it failed; about to be replaced.
    Sick,
    /// Paused because nobody asks for its service; a request wakes it.
    Asleep,
    /// Being stopped and removed.
    Stopping,
}

impl Phase {
    pub const ALL: [Phase; 6] = [
        Phase::Starting,
        Phase::Ready,
        Phase::Draining,
        Phase::Sick,
        Phase::Asleep,
        Phase::Stopping,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
            Phase::Sick => "sick",
            Phase::Asleep => "asleep",
            Phase::Stopping => "stopping",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a replica is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ailment {
    Exited { code: Option<i64> },
    Paused,
    HalfMade,
    Unhealthy { why: String },
    NeverHealthy { after: Duration, why: String },
}

impl Ailment {
    /// The value of the metric label `reason`.
    pub fn label(&self) -> &'static str {
        match self {
            Ailment::Exited { .. } => "exited",
            Ailment::Paused => "paused",
            Ailment::HalfMade => "half_made",
            Ailment::Unhealthy { .. } => "unhealthy",
            Ailment::NeverHealthy { .. } => "never_healthy",
        }
    }
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ailment::Exited { code: Some(code) } => write!(f, "exited with code {code}"),
            Ailment::Exited { code: None } => f.write_str("exited"),
            Ailment::Paused => f.write_str("paused"),
            Ailment::HalfMade => f.write_str("made but never started"),
            Ailment::Unhealthy { why } => write!(f, "unhealthy: {why}"),
            Ailment::NeverHealthy { after, why } => {
                write!(
                    f,
                    "not healthy within {}: {why}",
                    super::time::Human(*after)
                )
            }
        }
    }
}

/// A replica as status, metrics and the dashboard show it.
#[derive(Clone, Debug)]
pub struct ReplicaView {
    pub id: ReplicaId,
    pub slot: Slot,
    pub generation: u64,
    pub phase: Phase,
    pub since: Moment,
    pub address: Option<SocketAddr>,
    /// Why it is in this phase, when there is something to say.
    pub because: Option<String>,
    /// The live counters, once it has been ready.
    pub live: Option<Arc<Replica>>,
}
