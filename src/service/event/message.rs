//! An event as a line of the log.

use super::kind::Event;
use crate::service::decided::Decided;
use crate::service::time::{Human, Utc};
use std::fmt;

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
                write!(
                    f,
                    "{service}: skipping port {slot}: another program holds it"
                )
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
                    "{service}: {at} is ejected for {}: {row} answers of 5xx in a row, while others do better",
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
            } => write!(f, "{service}: {at} asleep: {because}", at = id.on(*slot)),
            Event::Resumed { service, slot, id } => {
                write!(f, "{service}: {at} resumed", at = id.on(*slot))
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
                write!(f, "{service}: {at} was removed", at = id.on(*slot))
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
            Event::Rolling {
                service,
                from,
                to,
                changed,
            } if from == to && !changed.is_empty() => {
                let changed = changed.join(", ");
                write!(
                    f,
                    "{service}: replacing replicas of {to}: changed {changed}"
                )
            }
            Event::Rolling {
                service, from, to, ..
            } => {
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
            } => write!(f, "{service}: rolling back from {to} to {back_to}: {why}"),
            Event::RolloutFailed {
                service, to, why, ..
            } => write!(f, "{service}: the change to {to} is paused: {why}"),
            Event::RolledBack { service, to } => {
                write!(f, "{service}: every replica runs {to} again")
            }
            Event::LastLogs {
                service,
                slot,
                id,
                lines,
            } => write!(
                f,
                "{service}: last output of {at}: {}",
                lines.join(" | "),
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
                write!(f, "refused a connection: {}", reason.label())
            }
            Event::CertificateIssued { name, ca, until } => {
                let until = Utc(*until);
                write!(f, "{name}: new certificate of {ca}, valid until {until}")
            }
            Event::CertificateFailed {
                name,
                why,
                next_try,
                is_served,
            } => {
                let (what, meanwhile) = match is_served {
                    true => ("not renewed", "; the old certificate is served"),
                    false => ("no certificate", ""),
                };
                let next_try = Utc(*next_try);
                write!(
                    f,
                    "{name}: {what}: {why}{meanwhile}; next try at {next_try}"
                )
            }
            Event::EngineUp => f.write_str("the container engine answers"),
            Event::EngineDown { why } => write!(
                f,
                "the container engine does not answer; traffic continues on the known replicas: {why}"
            ),
            Event::Reloaded { result: Ok(what) } => write!(f, "configuration reloaded: {what}"),
            Event::Reloaded { result: Err(why) } => {
                write!(f, "configuration not reloaded, the old one stays: {why}")
            }
        }
    }
}
