//! What happened to the replicas: one closed list for the log, the metrics and observers.

use super::barrier::Barrier;
use crate::service::decided::Decided;
use crate::service::replica::{Ailment, ReplicaId};
use crate::service::spec::{ServiceName, Slot};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub enum Event {
    Starting {
        service: ServiceName,
        slot: Slot,
    },
    StartFailed {
        service: ServiceName,
        slot: Slot,
        why: String,
    },
    PortTaken {
        service: ServiceName,
        slot: Slot,
    },
    /// Found running when Tidegate itself started.
    Adopted {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
    },
    /// First good health check; `after` runs from the start of the container.
    Ready {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        after: Option<Duration>,
    },
    /// Its health check has not succeeded `after` its start, and may still.
    NotReady {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        after: Duration,
        why: String,
    },
    Sick {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        ailment: Ailment,
    },
    /// Passed over for a while because of its answers, `row` of 5xx without another between.
    Ejected {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        row: u32,
        during: Duration,
    },
    Draining {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        in_flight: u64,
        because: String,
    },
    /// Back into rotation instead of drained: it is wanted again.
    Returned {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        because: String,
    },
    Drained {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        took: Duration,
        left: u64,
    },
    /// Out of rotation and paused: it keeps what it has in memory, and does not run.
    Paused {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        because: String,
    },
    /// Runs again after a pause; its health check comes next.
    Resumed {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
    },
    PauseFailed {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        why: String,
    },
    ResumeFailed {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        why: String,
    },
    Stopped {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
    },
    StopFailed {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        why: String,
    },
    Scaled {
        service: ServiceName,
        from: u32,
        to: u32,
        because: String,
    },
    /// What a service's scaling came to, when its count or what decided it is another than before.
    /// A change of the count is `Scaled` as well.
    Decided {
        service: ServiceName,
        decided: Arc<Decided>,
    },
    /// What containers are made from changes.
    Rolling {
        service: ServiceName,
        from: String,
        to: String,
    },
    RolledOut {
        service: ServiceName,
        to: String,
        took: Duration,
    },
    /// A change goes back, or stays where it is.
    RolloutFailed {
        service: ServiceName,
        to: String,
        why: String,
        /// What is gone back to; `None`: paused.
        back_to: Option<String>,
    },
    RolledBack {
        service: ServiceName,
        to: String,
    },
    /// What a replica that failed has written last.
    SaidLast {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        words: Vec<String>,
    },
    /// One health check was made. Frequent; never logged.
    Checked {
        service: ServiceName,
        ok: bool,
    },
    /// A client got 502 or 504, or an answer without its end. One a service in ten seconds.
    RequestFailed {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        /// The status that the client got.
        status: u16,
        why: String,
        /// Failures since the last of these.
        left_out: u64,
    },
    /// A client's connection was not let in. Frequent under attack; never logged.
    TurnedAway {
        reason: Barrier,
    },
    EngineUp,
    EngineDown {
        why: String,
    },
    Reloaded {
        result: Result<String, String>,
    },
}

impl Event {
    pub fn level(&self) -> log::Level {
        match self {
            Event::StartFailed { .. }
            | Event::PortTaken { .. }
            | Event::Sick { .. }
            | Event::Ejected { .. }
            | Event::StopFailed { .. }
            | Event::PauseFailed { .. }
            | Event::ResumeFailed { .. }
            | Event::RolloutFailed { .. }
            | Event::SaidLast { .. }
            | Event::RequestFailed { .. }
            | Event::EngineDown { .. }
            | Event::Reloaded { result: Err(_) } => log::Level::Warn,
            Event::Decided { .. } => log::Level::Debug,
            Event::Checked { .. } | Event::TurnedAway { .. } => log::Level::Trace,
            _ => log::Level::Info,
        }
    }

    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Event::Starting { service, .. }
            | Event::StartFailed { service, .. }
            | Event::PortTaken { service, .. }
            | Event::Adopted { service, .. }
            | Event::Ready { service, .. }
            | Event::NotReady { service, .. }
            | Event::Sick { service, .. }
            | Event::Ejected { service, .. }
            | Event::Draining { service, .. }
            | Event::Returned { service, .. }
            | Event::Drained { service, .. }
            | Event::Paused { service, .. }
            | Event::Resumed { service, .. }
            | Event::PauseFailed { service, .. }
            | Event::ResumeFailed { service, .. }
            | Event::Stopped { service, .. }
            | Event::StopFailed { service, .. }
            | Event::Scaled { service, .. }
            | Event::Decided { service, .. }
            | Event::Rolling { service, .. }
            | Event::RolledOut { service, .. }
            | Event::RolloutFailed { service, .. }
            | Event::RolledBack { service, .. }
            | Event::SaidLast { service, .. }
            | Event::RequestFailed { service, .. }
            | Event::Checked { service, .. } => Some(service),
            Event::TurnedAway { .. }
            | Event::EngineUp
            | Event::EngineDown { .. }
            | Event::Reloaded { .. } => None,
        }
    }
}
