//! The immutable picture that requests, metrics and the admin API read.

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

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub services: BTreeMap<ServiceName, Arc<ServiceView>>,
    /// Whether the container engine answers; true when no service needs one.
    pub engine_up: bool,
    /// When this picture was taken, and so what `ReplicaView::since` compares with.
    pub taken: Moment,
}

impl Snapshot {
    pub fn service(&self, name: &str) -> Option<&Arc<ServiceView>> {
        self.services.get(name)
    }
}

#[derive(Clone, Debug)]
pub struct ServiceView {
    pub name: ServiceName,
    /// In rotation, in slot order.
    pub ready: Vec<Arc<Replica>>,
    pub cursor: Arc<Cursor>,
    pub load: Arc<ServiceLoad>,
    /// Everything that exists, in slot order.
    pub replicas: Vec<ReplicaView>,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// How many were asked for by hand.
    pub by_hand: Option<u32>,
    /// Nobody asks for it: its replicas are paused or gone, and a request wakes it.
    pub asleep: bool,
    /// A replica is on its way, so waiting for one makes sense.
    pub coming: bool,
    /// Why the replica set is as it is, and what it waits for.
    pub because: Vec<String>,
    /// What its scaler decided last.
    pub decisions: Decisions,
    /// The image that new containers are made from.
    pub image: Option<String>,
    /// What the configuration says instead, when that is another image.
    pub configured_image: Option<String>,
    /// While its replicas fail one after another.
    pub last_words: Option<Arc<LastWords>>,
    /// `None` once the service left the configuration.
    pub spec: Option<Arc<Spec>>,
    /// How the last change of what containers are made from goes, or went.
    pub rollout: Option<RolloutView>,
    /// Where clients belong among those that are ready.
    pub ring: LazyRing,
}

impl ServiceView {
    /// One that has no replica and wants none.
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
            last_words: None,
            spec: None,
            rollout: None,
            ring: LazyRing::default(),
        }
    }
}

/// The last lines of a replica that failed and is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWords {
    pub slot: Slot,
    pub lines: Vec<String>,
}

/// A change of what a service's containers are made from.
#[derive(Clone, Debug)]
pub struct RolloutView {
    pub stage: RolloutStage,
    pub from: String,
    pub to: String,
    /// Ready, and made from what is wanted now.
    pub ready: u32,
    /// Made from anything else.
    pub others: u32,
    pub wanted: u32,
    pub took: Duration,
    /// Why it went back, or paused.
    pub why: Option<String>,
    pub failures: Vec<FailedReplica>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutStage {
    Rolling,
    /// All are new; the last of them have to last for a while.
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
    /// The last lines that it wrote.
    pub last_words: Vec<String>,
}
