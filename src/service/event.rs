//! What happened to the replicas: one closed list for the log, the metrics and observers.

use super::decided::Decided;
use super::replica::{Ailment, ReplicaId};
use super::spec::{ServiceName, Slot};
use super::time::Human;
use std::fmt;
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

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// `limits.connections`
    Full,
    /// `limits.connections_per_address`
    FullForAddress,
    /// It came to a listener for proxies, and its address is not one of `trusted_proxies`.
    Untrusted,
    /// The PROXY header is missing, late or wrong.
    ProxyHeader,
}

impl Barrier {
    pub const ALL: [Barrier; 4] = [
        Barrier::Full,
        Barrier::FullForAddress,
        Barrier::Untrusted,
        Barrier::ProxyHeader,
    ];

    /// Its name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Barrier::Full => "full",
            Barrier::FullForAddress => "full_for_address",
            Barrier::Untrusted => "untrusted",
            Barrier::ProxyHeader => "proxy_header",
        }
    }
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

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Starting { service, slot } => {
                write!(f, "{service}: starting a replica on {slot}")
            }
            Event::StartFailed { service, slot, why } => {
                write!(f, "{service}: could not start a replica on {slot}: {why}")
            }
            Event::PortTaken { service, slot } => {
                write!(f, "{service}: skipping port {slot}: somebody else holds it")
            }
            Event::Adopted { service, slot, id } => {
                write!(
                    f,
                    "{service}: adopted {at}, already running",
                    at = id.on(*slot)
                )
            }
            Event::Ready {
                service,
                slot,
                id,
                after: Some(after),
            } => {
                write!(
                    f,
                    "{service}: {at} is ready, {} after its start",
                    Human(*after),
                    at = id.on(*slot)
                )
            }
            Event::Ready {
                service,
                slot,
                id,
                after: None,
            } => {
                write!(f, "{service}: {at} is ready", at = id.on(*slot))
            }
            Event::NotReady {
                service,
                slot,
                id,
                after,
                why,
            } => {
                write!(
                    f,
                    "{service}: {at} is not healthy yet, {} after its start: {why}",
                    Human(*after),
                    at = id.on(*slot)
                )
            }
            Event::Sick {
                service,
                slot,
                id,
                ailment,
            } => {
                write!(f, "{service}: {at} is sick: {ailment}", at = id.on(*slot))
            }
            Event::Ejected {
                service,
                slot,
                id,
                row,
                during,
            } => {
                write!(
                    f,
                    "{service}: {at} is passed over for {}: {row} answers of 5xx in a row, and others do better",
                    Human(*during),
                    at = id.on(*slot)
                )
            }
            Event::Draining {
                service,
                slot,
                id,
                in_flight,
                because,
            } => {
                write!(
                    f,
                    "{service}: draining {at} ({in_flight} in flight): {because}",
                    at = id.on(*slot)
                )
            }
            Event::Returned {
                service,
                slot,
                id,
                because,
            } => write!(f, "{service}: {at} returns: {because}", at = id.on(*slot)),
            Event::Drained {
                service,
                slot,
                id,
                took,
                left: 0,
            } => {
                write!(
                    f,
                    "{service}: {at} drained in {}",
                    Human(*took),
                    at = id.on(*slot)
                )
            }
            Event::Drained {
                service,
                slot,
                id,
                took,
                left,
            } => write!(
                f,
                "{service}: {at} still had {left} in flight after {}",
                Human(*took),
                at = id.on(*slot)
            ),
            Event::Paused {
                service,
                slot,
                id,
                because,
            } => write!(f, "{service}: {at} sleeps: {because}", at = id.on(*slot)),
            Event::Resumed { service, slot, id } => {
                write!(f, "{service}: {at} runs again", at = id.on(*slot))
            }
            Event::PauseFailed {
                service,
                slot,
                id,
                why,
            } => write!(
                f,
                "{service}: could not pause {at}, so it is stopped instead: {why}",
                at = id.on(*slot)
            ),
            Event::ResumeFailed {
                service,
                slot,
                id,
                why,
            } => write!(
                f,
                "{service}: could not resume {at}: {why}",
                at = id.on(*slot)
            ),
            Event::Stopped { service, slot, id } => {
                write!(f, "{service}: {at} is gone", at = id.on(*slot))
            }
            Event::StopFailed {
                service,
                slot,
                id,
                why,
            } => {
                write!(
                    f,
                    "{service}: could not stop {at}: {why}",
                    at = id.on(*slot)
                )
            }
            Event::Scaled {
                service,
                from,
                to,
                because,
            } => {
                write!(f, "{service}: {from} -> {to} replicas: {because}")
            }
            Event::Decided { service, decided } => {
                let Decided { to, bound, .. } = decided.as_ref();
                write!(
                    f,
                    "{service}: {to} wanted, bound by {bound}: {}",
                    decided.because
                )
            }
            Event::Rolling { service, from, to } => {
                write!(f, "{service}: replacing {from} by {to}")
            }
            Event::RolledOut { service, to, took } => {
                write!(
                    f,
                    "{service}: every replica runs {to}, after {}",
                    Human(*took)
                )
            }
            Event::RolloutFailed {
                service,
                to,
                why,
                back_to: Some(back_to),
            } => write!(f, "{service}: going back from {to} to {back_to}: {why}"),
            Event::RolloutFailed {
                service, to, why, ..
            } => write!(f, "{service}: the change to {to} is paused: {why}"),
            Event::RolledBack { service, to } => {
                write!(f, "{service}: every replica runs {to} again")
            }
            Event::SaidLast {
                service,
                slot,
                id,
                words,
            } => write!(
                f,
                "{service}: {at} said last: {}",
                words.join(" | "),
                at = id.on(*slot)
            ),
            Event::RequestFailed {
                service,
                slot,
                id,
                status,
                why,
                left_out,
            } => {
                let at = id.on(*slot);
                match status {
                    500.. => write!(
                        f,
                        "{service}: a request failed with {status} at {at}: {why}"
                    )?,
                    _ => write!(
                        f,
                        "{service}: an answer of {status} was cut off at {at}: {why}"
                    )?,
                }
                match left_out {
                    0 => Ok(()),
                    more => write!(f, " ({more} more since the last of these lines)"),
                }
            }
            Event::Checked { service, ok } => write!(f, "{service}: health check ok={ok}"),
            Event::TurnedAway { reason } => {
                write!(f, "turned away a connection: {}", reason.label())
            }
            Event::EngineUp => f.write_str("the container engine answers"),
            Event::EngineDown { why } => write!(
                f,
                "the container engine does not answer; traffic goes on with the replicas known: {why}"
            ),
            Event::Reloaded { result: Ok(what) } => write!(f, "configuration reloaded: {what}"),
            Event::Reloaded { result: Err(why) } => {
                write!(f, "configuration not reloaded, the old one stays: {why}")
            }
        }
    }
}
