//! Scaling decisions.

use crate::service::decided::Decided;
use crate::service::snapshot::ServiceView;
use crate::service::time::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Scaling decisions of a service.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Decisions")]
pub struct DecisionsJson {
    pub service: String,
    pub desired: u32,
    pub min: u32,
    pub max: u32,
    /// Decisions that changed the count or what limits it, the newest first, 1000 at most.
    pub decisions: Vec<DecisionJson>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Decision")]
pub struct DecisionJson {
    pub ago_seconds: f64,
    pub from: u32,
    pub to: u32,
    /// Count for the load alone.
    pub proposal: u32,
    /// Limit or rule that decided, in a word or two.
    pub bound: String,
    /// The inputs and the formula.
    pub because: String,
    /// Results of the policies, when there are several.
    #[serde(default)]
    pub asked: Vec<PolicyJson>,
    /// Seconds until the result may change without a new request; null: decided every second.
    pub next_in_seconds: Option<f64>,
}

/// Result of one of several policies.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Asked")]
pub struct PolicyJson {
    pub policy: String,
    pub replicas: u32,
    /// Count for the load alone.
    pub proposal: u32,
    /// Whether this policy decided.
    pub won: bool,
    pub bound: String,
    pub because: String,
}

pub fn decisions(view: &ServiceView, taken: Moment) -> DecisionsJson {
    let decisions = view.decisions.newest();
    let decisions = decisions.map(|decided| decision(decided, taken));
    DecisionsJson {
        service: view.name.to_string(),
        desired: view.desired,
        min: view.min,
        max: view.max,
        decisions: decisions.collect(),
    }
}

pub fn decision(decided: &Decided, taken: Moment) -> DecisionJson {
    let asked = decided.asked.iter().map(|asked| PolicyJson {
        policy: asked.policy.to_string(),
        replicas: asked.replicas,
        proposal: asked.proposal,
        won: asked.won,
        bound: asked.bound.to_owned(),
        because: asked.because.clone(),
    });
    DecisionJson {
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
