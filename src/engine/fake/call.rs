//! Calls that a fake engine got.

use crate::service::replica::ReplicaId;
use crate::service::spec::{ServiceName, Slot};
use std::time::Duration;

/// A call, and when it came, counted from the making of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: Duration,
    pub what: Asked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
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
