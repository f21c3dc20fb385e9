//! Scaling decisions.

use crate::service::decided::Decided;
use crate::service::snapshot::ServiceView;
use crate::service::time::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What decided how many replicas a service has.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Decisions {
    pub service: String,
    pub desired: u32,
    pub min: u32,
    pub max: u32,
    /// The newest first, 1000 at most: those that changed the count, or were bound by something
    /// else than the one before.
    pub decisions: Vec<Decision>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
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
