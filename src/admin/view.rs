//! What the admin API says, as JSON. The command line reads the same types.

use crate::service::decided::Decided;
use crate::service::snapshot::{RolloutView, ServiceView, Snapshot};
use crate::service::time::Moment;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
pub struct Overview {
    /// Whether the container engine answers.
    pub engine_up: bool,
    pub services: Vec<Service>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Service {
    pub name: String,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    pub ready: u32,
    /// Requests since Tidegate started.
    pub requests: u64,
    /// Of these, the ones that count for scaling.
    pub requests_counted: u64,
    pub because: Vec<String>,
    /// What new containers are made from.
    #[serde(default)]
    pub image: Option<String>,
    /// How the last change of that goes, or went.
    #[serde(default)]
    pub rollout: Option<Rollout>,
    /// In slot order.
    pub replicas: Vec<Replica>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// `rolling`, `watching`, `done`, `rolling back`, `rolled back` or `paused`.
    pub stage: String,
    pub from: String,
    pub to: String,
    /// Replicas that are ready and made from what is wanted now.
    pub ready: u32,
    /// Replicas that are made from anything else.
    pub others: u32,
    pub wanted: u32,
    pub took_seconds: f64,
    /// Why it went back, or paused.
    pub why: Option<String>,
    pub failures: Vec<FailedReplica>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedReplica {
    pub slot: u16,
    pub why: String,
    /// The last lines that it wrote.
    pub last_words: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Replica {
    pub slot: u16,
    pub id: String,
    /// `starting`, `ready`, `draining`, `sick` or `stopping`.
    pub state: String,
    /// Seconds in this state.
    pub since_seconds: f64,
    pub address: Option<String>,
    pub in_flight: u64,
    /// Since it became ready.
    pub requests: u64,
    pub because: Option<String>,
}

/// What decided how many replicas a service has.
#[derive(Debug, Serialize, Deserialize)]
pub struct Decisions {
    pub service: String,
    pub desired: u32,
    pub min: u32,
    pub max: u32,
    /// The newest first, 1000 at most: those that changed the count, or were bound by something
    /// else than the one before.
    pub decisions: Vec<Decision>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Decision {
    pub ago_seconds: f64,
    pub from: u32,
    pub to: u32,
    /// What the load asked for by itself.
    pub proposal: u32,
    /// What decided, in a word or two.
    pub bound: String,
    /// The inputs and the formula.
    pub because: String,
    /// Of several policies, what each asked for; else empty.
    #[serde(default)]
    pub asked: Vec<Asked>,
    /// When the answer could change without a new request; null: it is asked for every second.
    pub next_in_seconds: Option<f64>,
}

/// What one of several policies asked for.
#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    pub policy: String,
    pub replicas: u32,
    /// What the load asked for by itself.
    pub proposal: u32,
    /// Whether this is the one that decided.
    pub won: bool,
    pub bound: String,
    pub because: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Version {
    pub version: String,
}

impl Default for Version {
    fn default() -> Self {
        Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Reloaded {
    pub changed: String,
}

/// What `POST …/deploy` takes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// Left out: the configured one, as its name is understood now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Deployed {
    /// The image, and what its name stands for.
    pub version: String,
    /// False when every replica runs it already.
    pub begun: bool,
}

/// What `POST …/drain` takes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    pub slot: u16,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Drained {
    /// The container that is being replaced.
    pub id: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    pub error: String,
}

pub fn overview(snapshot: &Snapshot) -> Overview {
    let services = snapshot.services.values();
    Overview {
        engine_up: snapshot.engine_up,
        services: services.map(|view| service(view, snapshot.taken)).collect(),
    }
}

pub fn decisions(view: &ServiceView, taken: Moment) -> Decisions {
    let decisions = view.decisions.newest();
    let decisions = decisions.map(|decided| decision(decided, taken));
    Decisions {
        service: view.name.to_string(),
        desired: view.desired,
        min: view.min,
        max: view.max,
        decisions: decisions.collect(),
    }
}

pub fn decision(decided: &Decided, taken: Moment) -> Decision {
    let asked = decided.asked.iter().map(|asked| Asked {
        policy: asked.policy.to_string(),
        replicas: asked.replicas,
        proposal: asked.proposal,
        won: asked.won,
        bound: asked.bound.to_owned(),
        because: asked.because.clone(),
    });
    Decision {
        ago_seconds: taken.since(decided.at).as_secs_f64(),
        from: decided.from,
        to: decided.to,
        proposal: decided.proposal,
        bound: decided.bound.to_owned(),
        because: decided.because.clone(),
        asked: asked.collect(),
        next_in_seconds: decided
            .wake
            .filter(|at| *at > taken)
            .map(|at| at.since(taken).as_secs_f64()),
    }
}

pub fn service(view: &ServiceView, taken: Moment) -> Service {
    let replicas = view.replicas.iter().map(|replica| Replica {
        slot: replica.slot,
        id: replica.id.0.to_string(),
        state: replica.phase.as_str().to_owned(),
        since_seconds: taken.since(replica.since).as_secs_f64(),
        address: replica.address.map(|address| address.to_string()),
        in_flight: replica.live.as_ref().map_or(0, |live| live.gate.inside()),
        requests: replica.live.as_ref().map_or(0, |live| live.requests()),
        because: replica.because.clone(),
    });
    Service {
        name: view.name.to_string(),
        min: view.min,
        max: view.max,
        desired: view.desired,
        ready: view.ready.len() as u32,
        requests: view.load.total(),
        requests_counted: view.load.counted(),
        because: view.because.clone(),
        image: view.image.clone(),
        rollout: view.rollout.as_ref().map(rollout),
        replicas: replicas.collect(),
    }
}

fn rollout(view: &RolloutView) -> Rollout {
    let failures = view.failures.iter().map(|failed| FailedReplica {
        slot: failed.slot,
        why: failed.why.clone(),
        last_words: failed.last_words.clone(),
    });
    Rollout {
        stage: view.stage.as_str().to_owned(),
        from: view.from.clone(),
        to: view.to.clone(),
        ready: view.ready,
        others: view.others,
        wanted: view.wanted,
        took_seconds: view.took.as_secs_f64(),
        why: view.why.clone(),
        failures: failures.collect(),
    }
}
