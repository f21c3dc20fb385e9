//! Calls of a fake engine.

use crate::service::replica::ReplicaId;
use crate::service::spec::{ServiceName, Slot};
use std::time::Duration;

/// A call, and its time since the engine was created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: Duration,
    pub what: CallKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallKind {
    Observe,
    Start {
        service: ServiceName,
        slot: Slot,
        generation: u64,
    },
    Pause {
        id: ReplicaId,
    },
    Resume {
        id: ReplicaId,
    },
    Stop {
        id: ReplicaId,
        grace: Duration,
    },
}
