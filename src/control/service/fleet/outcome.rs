//! Outcomes of actions on a replica.

use crate::service::replica::ReplicaId;
use crate::service::spec::{Slot, SpecHash};
use crate::service::time::Moment;

/// A replica that failed, or never came to be.
pub struct ReplicaFailure {
    pub id: Option<ReplicaId>,
    pub slot: Slot,
    pub generation: u64,
    /// The version that it was made from.
    pub spec: SpecHash,
    pub why: String,
    /// `None`: it never got ready.
    pub ready_since: Option<Moment>,
    /// Never ready, or not for long.
    pub blames_image: bool,
}

impl ReplicaFailure {
    /// A failure before there was a replica.
    pub fn of_start(slot: Slot, generation: u64, spec: SpecHash, why: String) -> ReplicaFailure {
        ReplicaFailure {
            id: None,
            slot,
            generation,
            spec,
            why,
            ready_since: None,
            blames_image: true,
        }
    }

    pub fn without_blame(self) -> ReplicaFailure {
        ReplicaFailure {
            blames_image: false,
            ..self
        }
    }
}

/// A call of the engine without an answer. When a listing gets one, the failure was the call's
/// own.
pub struct Unanswered {
    pub generation: u64,
    pub slot: Slot,
    pub why: String,
}

/// Outcome of a health check's verdict.
pub enum Probed {
    Nothing,
    /// The first good check of a replica that we started from this version.
    Started(SpecHash),
    Failed(ReplicaFailure),
}

pub enum Pausing {
    Gone,
    /// A request came before the door was shut.
    Busy,
    Begun,
}
