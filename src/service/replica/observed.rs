//! A replica as its engine lists it.

use super::id::ReplicaId;
use crate::service::spec::{ImageId, ManualDeploy, ServiceName, Slot, SpecHash};
use std::net::SocketAddr;
use std::sync::Arc;

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
