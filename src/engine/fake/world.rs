//! The world of a fake engine: its replicas, and the script of calls to come.

use super::call::Call;
use crate::engine::{EngineError, ErrorKind};
use crate::service::replica::{Observed, ReplicaId, RunState};
use crate::service::spec::{ImageId, ServiceName, Slot};
use crate::service::time::Human;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Memory that each replica may have.
pub const FAKE_MEMORY_BYTES: u64 = 1 << 30;

#[derive(Default)]
pub struct FakeWorld {
    pub replicas: Vec<Observed>,
    pub made: u64,
    pub restarts: u8,
    pub calls: Vec<Call>,
    pub start_times: HashMap<ServiceName, Duration>,
    pub slot_start_times: HashMap<Slot, Duration>,
    pub stop_time: Duration,
    pub observe_time: Duration,
    pub failures: VecDeque<ErrorKind>,
    pub stop_failures: usize,
    pub pause_time: Duration,
    pub pause_failures: usize,
    pub taken_ports: BTreeSet<Slot>,
    /// Containers that carry our labels and are not ours; they show in no listing.
    pub strangers: BTreeMap<ReplicaId, Slot>,
    pub unreachable: bool,
    /// Listings are copies that may be old.
    pub is_stale: bool,
    /// Contents of image names; any other name stands for itself.
    pub images: HashMap<String, ImageId>,
    pub missing_images: BTreeSet<String>,
    /// Pull times of images that are not on this machine.
    pub pull_times: HashMap<String, Duration>,
    /// Ends of pulls under way.
    pub pulls: HashMap<String, Instant>,
    pub starts_hang: BTreeSet<ServiceName>,
    pub stops_hang: BTreeSet<Slot>,
    pub stops_fail: BTreeSet<Slot>,
    pub loads: HashMap<Slot, FakeLoad>,
}

/// Usage of the replica in a slot.
#[derive(Clone, Copy, Default)]
pub struct FakeLoad {
    pub millicores: u32,
    pub memory_bytes: u64,
    pub since: Duration,
    /// Processor time until then.
    pub before: Duration,
}

impl FakeLoad {
    pub fn cpu(&self, now: Duration) -> Duration {
        self.before + (now - self.since) * self.millicores / 1000
    }
}

impl FakeWorld {
    pub fn image(&self, op: &'static str, name: &str) -> Result<ImageId, EngineError> {
        if self.missing_images.contains(name) {
            let message = format!("image `{name}` cannot be pulled");
            return Err(error(ErrorKind::Failed, op, &message));
        }
        let known = self.images.get(name).cloned();
        Ok(known.unwrap_or_else(|| ImageId(format!("sha256:{name}"))))
    }
}

/// Whether the replica holds its port.
pub fn is_live(replica: &Observed) -> bool {
    matches!(replica.state, RunState::Running | RunState::Paused)
}

pub fn error(kind: ErrorKind, op: &'static str, message: &str) -> EngineError {
    EngineError {
        kind,
        op,
        message: message.to_owned(),
    }
}

pub fn timed_out(op: &'static str, limit: Duration) -> EngineError {
    let message = format!("no answer within {}", Human(limit));
    error(ErrorKind::Failed, op, &message)
}
