//! The planner's input: one service as it is.

use super::backoff::Backoff;
use super::rest::Depth;
use crate::service::replica::{Ailment, ReplicaId};
use crate::service::spec::{Slot, UpdateOrder};
use crate::service::time::Moment;
use std::collections::BTreeSet;
use std::time::Duration;

/// A service as it is. Everything the decision depends on, and nothing else.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub replicas: &'a [ReplicaInput],
    /// Slots on which a start is under way that the engine does not show yet.
    pub starting: BTreeSet<Slot>,
    /// Of these, the ones whose start takes so long that it may never return.
    pub hanging: BTreeSet<Slot>,
    /// Whether a start would find the image.
    pub image: ImageStatus,
    /// Slots whose port belongs to somebody else.
    pub taken: BTreeSet<Slot>,
    pub first_slot: Slot,
    /// `None`: the service left the configuration.
    pub wanted: Option<u32>,
    /// Whether it sleeps; then none is wanted.
    pub depth: Depth,
    pub stop_grace_period: Duration,
    pub roll: Roll,
    /// By then, a cause that replicas have in common has shown on all of them.
    pub check_round: Duration,
    pub backoff: &'a Backoff,
    /// How many more starts the host may bear at once.
    pub starts_left: u32,
    /// One more start is possible for a service that has nothing ready and nothing on its way.
    pub reserve: bool,
    pub engine_up: bool,
    pub now: Moment,
}

/// The image that the next replica is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageStatus {
    Here,
    Unknown,
    /// Being looked for since then, which includes a pull.
    Coming {
        name: String,
        since: Moment,
    },
}

/// How replicas that are to be replaced make way for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// How many at a time.
    pub parallelism: u32,
    pub order: UpdateOrder,
    /// None of them leaves before this.
    pub not_before: Option<Moment>,
}

/// One replica as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaInput {
    pub id: ReplicaId,
    pub slot: Slot,
    /// Made from today's template, and not to be replaced for any other reason.
    pub current: bool,
    pub condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Starting,
    Ready,
    Sick(Ailment),
    /// Runs, and has failed its health check since then.
    Unwell {
        since: Moment,
        ailment: Ailment,
    },
    Draining {
        since: Moment,
        in_flight: u64,
    },
    /// Paused, about to be, or about to run again; untouched until that has `settled`. Requests are
    /// in flight only in one that somebody else paused.
    Asleep {
        settled: bool,
        in_flight: u64,
    },
    /// Runs again with requests from before its pause, and waits for its health check.
    Resumed {
        since: Moment,
        in_flight: u64,
    },
    Stopping,
    /// A stop was sent, and its outcome is unknown.
    StopFailed,
    /// The removal failed again or hangs, so the port counts as taken.
    Stuck {
        why: String,
        /// `None`: a removal is under way.
        again_at: Option<Moment>,
    },
}

impl Condition {
    /// Runs, and is not in rotation before its health check is good.
    pub(super) fn is_starting(&self) -> bool {
        matches!(self, Condition::Starting | Condition::Resumed { .. })
    }
}

impl Input<'_> {
    pub(super) fn ready(&self) -> u32 {
        let ready = |replica: &&ReplicaInput| replica.condition == Condition::Ready;
        self.replicas.iter().filter(ready).count() as u32
    }
}
