//! Imagined replicas, and what befalls them.

use crate::service::replica::ReplicaId;
use crate::service::spec::Slot;

/// An event at one replica, found by index and generation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimulatedEvent {
    Done {
        index: usize,
        generation: u64,
        took: u64,
        /// Time that the request waited before.
        waited: u64,
    },
    Ready {
        index: usize,
        generation: u64,
    },
    Crashes {
        index: usize,
        generation: u64,
    },
}

pub struct ImaginedReplica {
    pub id: ReplicaId,
    pub slot: Slot,
    pub generation: u64,
    pub began: u64,
    pub state: ReplicaState,
    pub in_flight: u32,
}

#[derive(Clone, Copy, PartialEq)]
pub enum ReplicaState {
    Starting,
    Ready { since: u64 },
    Draining { since: u64 },
    Crashed,
}
