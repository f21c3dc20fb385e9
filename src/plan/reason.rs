//! Why something is done, or not done yet. Kept as data; shown as a sentence.

use crate::service::replica::Ailment;
use crate::service::spec::Slot;
use crate::service::time::{Human, Moment};
use std::fmt;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Fewer replicas than wanted.
    BelowWanted {
        wanted: u32,
    },
    /// More than wanted while others are replaced.
    Surge {
        outdated: u32,
    },
    /// More replicas than wanted.
    AboveWanted {
        wanted: u32,
    },
    /// Made from a template that is not the service's any more, or asked to go.
    Outdated,
    /// The service left the configuration.
    Removed,
    Ailing(Ailment),
    /// Drained: nothing in flight.
    Empty,
    /// Draining took longer than `stop_grace_period`.
    Overdue {
        in_flight: u64,
        after: Duration,
    },
    StopFailed,
    /// Paused by somebody else while requests were in flight.
    PausedInUse {
        in_flight: u64,
    },
    /// Nobody asked for the service.
    Idle {
        idle: Duration,
    },
    /// Asleep, and to be stopped later.
    StopsWhenIdle {
        paused: u32,
        left: Duration,
    },
    WaitsForDrain {
        slot: Slot,
        in_flight: u64,
        left: Duration,
    },
    WaitsForBackoff {
        failures: u32,
        left: Duration,
    },
    /// Why the service is being held back at all.
    LastFailure {
        slot: Slot,
        why: String,
    },
    WaitsForStarts,
    /// Nothing can be started before its image is on the machine.
    Pulling {
        image: String,
        since: Duration,
    },
    /// A container that cannot be removed holds a port.
    CannotRemove {
        slot: Slot,
        why: String,
        /// Until the next attempt; `None`: one is under way.
        left: Option<Duration>,
    },
    /// Fails its health check, as all others do.
    WaitsForOthers {
        slot: Slot,
    },
    /// New replicas must last for a while before old ones leave.
    Watches {
        left: Duration,
    },
    /// Replicas that fail their health check serve, because no other is ready.
    LeastBad {
        serving: u32,
    },
    /// Every replica has as many requests as it may have at once.
    Full {
        limit: u32,
        held: u64,
    },
    WaitsForReady {
        ready: u32,
        needed: u32,
    },
    /// No port is left: all of them belong to somebody else.
    NoPort {
        first: Slot,
        last: Slot,
    },
    EngineDown,
    /// The process before this one may have requests in any replica.
    WaitsForPredecessor,
}

impl Reason {
    /// The time left until `at`, for the reasons that wait.
    pub(super) fn left(at: Moment, now: Moment) -> Duration {
        at.since(now)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::BelowWanted { wanted: 1 } => f.write_str("1 replica is wanted"),
            Reason::BelowWanted { wanted } => write!(f, "{wanted} replicas are wanted"),
            Reason::Surge { outdated: 1 } => f.write_str("one extra while 1 is replaced"),
            Reason::Surge { outdated } => {
                write!(f, "one extra while {outdated} are replaced")
            }
            Reason::AboveWanted { wanted } => write!(f, "only {wanted} wanted"),
            Reason::Outdated => f.write_str("being replaced"),
            Reason::Removed => f.write_str("the service left the configuration"),
            Reason::Ailing(ailment) => ailment.fmt(f),
            Reason::Empty => f.write_str("nothing in flight"),
            Reason::Overdue { in_flight, after } => write!(
                f,
                "{in_flight} still in flight after {}, the stop grace period",
                Human(*after)
            ),
            Reason::StopFailed => f.write_str("the last attempt to stop the replica failed"),
            Reason::PausedInUse { in_flight } => {
                write!(f, "paused with {in_flight} in flight")
            }
            Reason::Idle { idle } => write!(f, "no request for {}", Human(*idle)),
            Reason::StopsWhenIdle { paused, left } => write!(
                f,
                "{paused} paused: woken by a request, or stopped in {}",
                Human(*left)
            ),
            Reason::WaitsForDrain {
                slot,
                in_flight,
                left,
            } => write!(
                f,
                "waiting for {in_flight} in flight on {slot}, at most {}",
                Human(*left)
            ),
            Reason::WaitsForBackoff { failures, left } => write!(
                f,
                "waiting {} before the next start: {failures} failures in a row",
                Human(*left)
            ),
            Reason::LastFailure { slot, why } => {
                write!(f, "the last failure was on {slot}: {why}")
            }
            Reason::WaitsForStarts => f.write_str("waiting for other starts to finish"),
            Reason::Pulling { image, since } => {
                write!(f, "pulling {image}, since {} ago", Human(*since))
            }
            Reason::CannotRemove {
                slot,
                why,
                left: None,
            } => write!(
                f,
                "the container on {slot} cannot be removed, so the next free port is used: {why}; \
                 trying again"
            ),
            Reason::CannotRemove {
                slot,
                why,
                left: Some(left),
            } => write!(
                f,
                "the container on {slot} cannot be removed, so the next free port is used: {why}; \
                 trying again in {}",
                Human(*left)
            ),
            Reason::WaitsForOthers { slot } => write!(
                f,
                "{slot} fails its health check and waits: one is replaced at a time while none is \
                 healthy"
            ),
            Reason::Watches { left } => write!(
                f,
                "watching the new replicas for {} more before old ones leave",
                Human(*left)
            ),
            Reason::LeastBad { serving } => write!(
                f,
                "no replica is healthy: {serving} that fail their health check serve"
            ),
            Reason::Full { limit, held } => write!(
                f,
                "{held} waiting for a place: {limit} at once for each replica (container_concurrency)"
            ),
            Reason::WaitsForReady { ready, needed } => {
                write!(
                    f,
                    "waiting for a replacement to be ready: {ready} of {needed} are"
                )
            }
            Reason::NoPort { first, last } => write!(
                f,
                "no port is free from {first} to {last}; free one or choose another first_port"
            ),
            Reason::EngineDown => {
                f.write_str("the container engine does not answer; waiting for it")
            }
            Reason::WaitsForPredecessor => {
                f.write_str("waiting for the old process to finish its requests")
            }
        }
    }
}
