//! Replicas in the listing of an engine.

use super::id::ReplicaId;
use crate::service::spec::{ImageId, ManualDeploy, ServiceName, Slot, SpecHash};
use std::net::SocketAddr;
use std::sync::Arc;

/// A replica as its engine lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub service: ServiceName,
    pub id: ReplicaId,
    pub slot: Slot,
    pub generation: u64,
    pub spec: SpecHash,
    /// Record of its creation, which only a restart reads; `None` for a replica that an older version
    /// made.
    pub made: Option<Made>,
    /// The image that runs, whatever its tag stands for by now.
    pub image: Option<ImageId>,
    pub state: RunState,
    /// Addresses at which it may be reached, the best first.
    pub addresses: Vec<SocketAddr>,
}

/// Record of how a replica was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub declared: SpecHash,
    /// Template that it was created from, as JSON.
    pub template: Arc<str>,
    /// `None`: the image was that of the file.
    pub manual: Option<ManualDeploy>,
    /// Number of replicas that were wanted then; `None`: not recorded.
    pub wanted: Option<u32>,
    pub vouched: Vouched,
}

/// Degree to which the record can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// Sealed by this Tidegate.
    Sealed,
    /// Written by an older version without a seal; the names of templates mean the same.
    Unsealed,
    /// Sealed with a key that is lost, so the names of templates mean nothing.
    KeyLost,
}

/// State of the process at its engine, before any health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Created but not started: the engine or Tidegate died in between.
    Created,
    Running,
    Paused,
    Exited {
        /// Exit code; 128 + signal for a killed process. `None` when the engine does not tell.
        code: Option<i64>,
    },
}
