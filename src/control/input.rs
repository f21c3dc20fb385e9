//! The closed list of what the loop hears.

use super::command::{Command, Deployed};
use super::probing::Verdict;
use crate::engine::{EngineError, World};
use crate::service::event::Event;
use crate::service::replica::ReplicaId;
use crate::service::spec::{ImageId, ServiceName, Slot, SpecHash, Template};
use crate::service::usage::Usage;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Says the time of day: since 1970, in UTC.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Is told of everything that happens.
pub type Sink = Arc<dyn Fn(&Event) + Send + Sync>;

pub(super) type Measured = Vec<(ServiceName, ReplicaId, Usage)>;

/// An image that is looked for, and the replica that needs it.
pub(super) struct Fetch {
    pub(super) service: ServiceName,
    pub(super) slot: Slot,
    pub(super) generation: u64,
    /// The version.
    pub(super) of: SpecHash,
}

/// Everything that can happen to the loop.
pub(super) enum LoopInput {
    Command(Command),
    Observed {
        sequence: u64,
        result: Result<World, EngineError>,
    },
    Started {
        service: ServiceName,
        slot: Slot,
        result: Result<ReplicaId, EngineError>,
    },
    /// The image that a replica needs is there, or cannot be had.
    Fetched {
        fetch: Fetch,
        result: Result<(), EngineError>,
    },
    /// The image behind a name, so that it can be deployed.
    Resolved {
        service: ServiceName,
        template: Box<Template>,
        result: Result<ImageId, EngineError>,
        done: oneshot::Sender<Result<Deployed, String>>,
    },
    /// The last lines of a replica that failed.
    LastLogs {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        lines: Vec<String>,
    },
    Stopped {
        service: ServiceName,
        id: ReplicaId,
        result: Result<(), EngineError>,
    },
    /// A replica was paused, or runs again.
    Frozen {
        service: ServiceName,
        id: ReplicaId,
        paused: bool,
        result: Result<(), EngineError>,
    },
    Probed {
        service: ServiceName,
        id: ReplicaId,
        verdict: Verdict,
    },
    /// Use of the ready replicas.
    Measured(Measured),
}
