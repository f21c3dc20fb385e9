//! Events as JSON.

use crate::service::event::Event;
use crate::service::replica::ReplicaId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// An event with its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Told")]
pub struct EventJson {
    /// Id, which grows with each event, also from one process to the next.
    pub id: u64,
    /// Time, as in `2026-11-25T01:17:18.042Z`.
    pub time: String,
    /// Kind of the event, as in `sick` or `scaled`.
    pub what: String,
    /// Level, `info` or `warn`.
    pub level: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u16>,
    /// The replica's container or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<String>,
    /// Reason as one word of a short list, as in `exited`; the metrics' label `reason`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Reason in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Number or version before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Number or version after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The event in a sentence, as in the log.
    pub text: String,
}

impl EventJson {
    /// `None`: the event is not shown.
    pub fn new(event: &Event, id: u64, at: SystemTime) -> Option<EventJson> {
        let about = About::of(event)?;
        Some(EventJson {
            id,
            time: humantime::format_rfc3339_millis(at).to_string(),
            what: about.what.to_owned(),
            level: event.level().as_str().to_ascii_lowercase(),
            service: event.service().map(|name| name.to_string()),
            slot: about.slot,
            replica: about.id.map(|id| id.0.to_string()),
            reason: about.reason.map(str::to_owned),
            why: about.why,
            from: about.from,
            to: about.to,
            text: event.to_string(),
        })
    }
}

/// Fields of an event beside its sentence.
#[derive(Default)]
struct About<'a> {
    what: &'static str,
    slot: Option<u16>,
    id: Option<&'a ReplicaId>,
    reason: Option<&'static str>,
    why: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

impl About<'_> {
    /// Kind and other fields, so that programs need not parse sentences. The match has no default, so
    /// that a new event needs a kind.
    fn of(event: &Event) -> Option<About<'_>> {
        let plain = |what| About {
            what,
            ..About::default()
        };
        let on = |what, slot: &u16| About {
            slot: Some(*slot),
            ..plain(what)
        };
        fn of_one<'a>(what: &'static str, slot: &u16, id: &'a ReplicaId) -> About<'a> {
            About {
                what,
                slot: Some(*slot),
                id: Some(id),
                ..About::default()
            }
        }
        Some(match event {
            Event::Checked { .. } | Event::TurnedAway { .. } => return None,
            Event::Starting { slot, .. } => on("starting", slot),
            Event::StartFailed { slot, why, .. } => About {
                why: Some(why.clone()),
                ..on("start_failed", slot)
            },
            Event::PortTaken { slot, .. } => About {
                why: Some("another program holds the port".to_owned()),
                ..on("port_taken", slot)
            },
            Event::Adopted { slot, id, .. } => of_one("adopted", slot, id),
            Event::Ready { slot, id, .. } => of_one("ready", slot, id),
            Event::NotReady { slot, id, why, .. } => About {
                why: Some(why.clone()),
                ..of_one("not_ready", slot, id)
            },
            Event::Sick {
                slot, id, ailment, ..
            } => About {
                reason: Some(ailment.label()),
                why: Some(ailment.to_string()),
                ..of_one("sick", slot, id)
            },
            Event::Ejected { slot, id, row, .. } => About {
                reason: Some("5xx"),
                why: Some(format!(
                    "{row} answers of 5xx in a row, while others do better"
                )),
                ..of_one("ejected", slot, id)
            },
            Event::Draining {
                slot, id, because, ..
            } => About {
                why: Some(because.clone()),
                ..of_one("draining", slot, id)
            },
            Event::Returned {
                slot, id, because, ..
            } => About {
                why: Some(because.clone()),
                ..of_one("returned", slot, id)
            },
            Event::Drained { slot, id, .. } => of_one("drained", slot, id),
            Event::Paused {
                slot, id, because, ..
            } => About {
                why: Some(because.clone()),
                ..of_one("paused", slot, id)
            },
            Event::Resumed { slot, id, .. } => of_one("resumed", slot, id),
            Event::PauseFailed { slot, id, why, .. } => About {
                why: Some(why.clone()),
                ..of_one("pause_failed", slot, id)
            },
            Event::ResumeFailed { slot, id, why, .. } => About {
                why: Some(why.clone()),
                ..of_one("resume_failed", slot, id)
            },
            Event::Stopped { slot, id, .. } => of_one("stopped", slot, id),
            Event::StopFailed { slot, id, why, .. } => About {
                why: Some(why.clone()),
                ..of_one("stop_failed", slot, id)
            },
            Event::Scaled {
                from, to, because, ..
            } => About {
                why: Some(because.clone()),
                from: Some(from.to_string()),
                to: Some(to.to_string()),
                ..plain("scaled")
            },
            Event::Decided { decided, .. } => About {
                reason: Some(decided.bound),
                why: Some(decided.because.clone()),
                from: Some(decided.from.to_string()),
                to: Some(decided.to.to_string()),
                ..plain("decided")
            },
            Event::Rolling { from, to, .. } => About {
                from: Some(from.clone()),
                to: Some(to.clone()),
                ..plain("rolling")
            },
            Event::RolledOut { to, .. } => About {
                to: Some(to.clone()),
                ..plain("rolled_out")
            },
            Event::RolloutFailed {
                to, why, back_to, ..
            } => About {
                why: Some(why.clone()),
                from: Some(to.clone()),
                to: back_to.clone(),
                ..plain(match back_to {
                    Some(_) => "rolling_back",
                    None => "rollout_paused",
                })
            },
            Event::RolledBack { to, .. } => About {
                to: Some(to.clone()),
                ..plain("rolled_back")
            },
            Event::LastLogs {
                slot, id, lines, ..
            } => About {
                why: Some(lines.join("\n")),
                ..of_one("said_last", slot, id)
            },
            Event::RequestFailed { slot, id, why, .. } => About {
                why: Some(why.clone()),
                ..of_one("request_failed", slot, id)
            },
            Event::CertificateIssued { ca, .. } => About {
                why: Some(format!("issued by {ca}")),
                ..plain("certificate_issued")
            },
            Event::CertificateFailed { why, .. } => About {
                why: Some(why.clone()),
                ..plain("certificate_failed")
            },
            Event::EngineUp => plain("engine_up"),
            Event::EngineDown { why } => About {
                why: Some(why.clone()),
                ..plain("engine_down")
            },
            Event::Reloaded { result: Ok(what) } => About {
                why: Some(what.clone()),
                ..plain("reloaded")
            },
            Event::Reloaded { result: Err(why) } => About {
                why: Some(why.clone()),
                ..plain("reload_failed")
            },
        })
    }
}
