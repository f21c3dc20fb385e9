//! Events: one closed list for the log, the metrics and observers.

use super::barrier::Barrier;
use crate::service::decided::Decided;
use crate::service::replica::{Ailment, ReplicaId};
use crate::service::spec::{ServiceName, Slot};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A thing that happened.
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
    /// A replica that was running when Tidegate started.
    Adopted {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
    },
    /// First good health check, `after` the start of the container.
    Ready {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        after: Option<Duration>,
    },
    /// A replica that has been starting longer than most take, with its health check's last error.
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
    /// Out of rotation for a while, after `row` answers of 5xx without another between.
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
    /// Back in rotation instead of drained, because the replica is wanted again.
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
    /// Out of rotation and paused: the container keeps its memory and does not run.
    Paused {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        because: String,
    },
    /// Running again after a pause; the health check comes next.
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
    /// A decision of the scaler whose count or bound differs from the one before. A change of the
    /// count is `Scaled` as well.
    Decided {
        service: ServiceName,
        decided: Arc<Decided>,
    },
    /// A rollout to another version begins.
    Rolling {
        service: ServiceName,
        from: String,
        to: String,
        /// Keys besides the image in which the two differ.
        changed: Vec<&'static str>,
    },
    RolledOut {
        service: ServiceName,
        to: String,
        took: Duration,
    },
    /// A rollout goes back, or pauses.
    RolloutFailed {
        service: ServiceName,
        to: String,
        why: String,
        /// The version that is gone back to; `None`: paused.
        back_to: Option<String>,
    },
    RolledBack {
        service: ServiceName,
        to: String,
    },
    /// Last lines of a failed replica's log.
    LastLogs {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        lines: Vec<String>,
    },
    /// A health check. Frequent; never logged.
    Checked {
        service: ServiceName,
        ok: bool,
    },
    /// A request that failed with 502 or 504, or whose answer was cut off. At most one event for a
    /// service in ten seconds.
    RequestFailed {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        /// The status that the client got.
        status: u16,
        why: String,
        /// Number of failures since the last of these events.
        left_out: u64,
    },
    /// A refused connection. Frequent under attack; never logged.
    TurnedAway {
        reason: Barrier,
    },
    /// A certificate came from an authority, and is served.
    CertificateIssued {
        name: String,
        ca: String,
        until: SystemTime,
    },
    /// An order failed.
    CertificateFailed {
        name: String,
        why: String,
        next_try: SystemTime,
        /// Whether an older certificate is served meanwhile.
        is_served: bool,
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
    /// Level in the log.
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
            | Event::LastLogs { .. }
            | Event::RequestFailed { .. }
            | Event::CertificateFailed { .. }
            | Event::EngineDown { .. }
            | Event::Reloaded { result: Err(_) } => log::Level::Warn,
            Event::Decided { .. } => log::Level::Debug,
            Event::Checked { .. } | Event::TurnedAway { .. } => log::Level::Trace,
            _ => log::Level::Info,
        }
    }

    /// The service that the event is about.
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
            | Event::LastLogs { service, .. }
            | Event::RequestFailed { service, .. }
            | Event::Checked { service, .. } => Some(service),
            Event::TurnedAway { .. }
            | Event::CertificateIssued { .. }
            | Event::CertificateFailed { .. }
            | Event::EngineUp
            | Event::EngineDown { .. }
            | Event::Reloaded { .. } => None,
        }
    }
}
