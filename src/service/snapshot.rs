//! The snapshot: the immutable picture that requests, metrics and the admin API read.

use super::cursor::Cursor;
use super::decided::Decisions;
use super::load::ServiceLoad;
use super::replica::{Replica, ReplicaView};
use super::ring::LazyRing;
use super::spec::{ServiceName, Slot, Spec};
use super::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// All services at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub services: BTreeMap<ServiceName, Arc<ServiceView>>,
    /// Whether the container engine answers; true when no service needs one.
    pub engine_up: bool,
    /// Time of this snapshot; `ReplicaView::since` compares with it.
    pub taken: Moment,
}

impl Snapshot {
    pub fn service(&self, name: &str) -> Option<&Arc<ServiceView>> {
        self.services.get(name)
    }
}

/// A service in the snapshot.
#[derive(Clone, Debug)]
pub struct ServiceView {
    pub name: ServiceName,
    /// Replicas in rotation, in slot order.
    pub ready: Vec<Arc<Replica>>,
    pub cursor: Arc<Cursor>,
    pub load: Arc<ServiceLoad>,
    /// All replicas, in slot order.
    pub replicas: Vec<ReplicaView>,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// Number asked for by hand; `None`: the policy decides.
    pub by_hand: Option<u32>,
    /// Whether the service sleeps: its replicas are paused or gone, and a request wakes it.
    pub asleep: bool,
    /// Whether a replica is starting or waking, so that a request may wait for it.
    pub coming: bool,
    /// Reasons for the present replicas, and what the next step waits for.
    pub because: Vec<String>,
    /// Last decisions of its scaler.
    pub decisions: Decisions,
    /// The image that new containers are made from.
    pub image: Option<String>,
    /// The image of the configuration, when that is another one.
    pub configured_image: Option<String>,
    /// Last lines of a failed replica, while replicas fail one after another.
    pub last_logs: Option<Arc<LastLogs>>,
    /// `None` once the service left the configuration.
    pub spec: Option<Arc<Spec>>,
    /// The last rollout, under way or finished.
    pub rollout: Option<RolloutView>,
    /// Hash ring over `ready`.
    pub ring: LazyRing,
}

impl ServiceView {
    /// A service that has no replica and wants none.
    pub fn new(name: ServiceName, load: Arc<ServiceLoad>) -> ServiceView {
        ServiceView {
            name,
            ready: Vec::new(),
            cursor: Arc::default(),
            load,
            replicas: Vec::new(),
            min: 0,
            max: 0,
            desired: 0,
            by_hand: None,
            asleep: false,
            coming: false,
            because: Vec::new(),
            decisions: Decisions::default(),
            image: None,
            configured_image: None,
            last_logs: None,
            spec: None,
            rollout: None,
            ring: LazyRing::default(),
        }
    }
}

/// The last lines of a replica that failed and is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastLogs {
    pub slot: Slot,
    pub lines: Vec<String>,
}

/// A rollout: the way from one version to the next.
#[derive(Clone, Debug)]
pub struct RolloutView {
    pub stage: RolloutStage,
    pub from: String,
    pub to: String,
    /// Replicas of the new version that are ready.
    pub ready: u32,
    /// Replicas of other versions.
    pub others: u32,
    pub wanted: u32,
    pub took: Duration,
    /// Reason for going back, or for the pause.
    pub why: Option<String>,
    pub failures: Vec<FailedReplica>,
}

/// Stage of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStage {
    Rolling,
    /// All replicas are new, and the last of them are being monitored.
    Watching,
    Done,
    GoingBack,
    WentBack,
    Paused,
}

impl RolloutStage {
    pub fn as_str(self) -> &'static str {
        match self {
            RolloutStage::Rolling => "rolling",
            RolloutStage::Watching => "watching",
            RolloutStage::Done => "done",
            RolloutStage::GoingBack => "rolling back",
            RolloutStage::WentBack => "rolled back",
            RolloutStage::Paused => "paused",
        }
    }
}

/// A new replica that did not last.
#[derive(Clone, Debug)]
pub struct FailedReplica {
    pub slot: Slot,
    pub why: String,
    /// Last lines of its log.
    pub last_logs: Vec<String>,
}
