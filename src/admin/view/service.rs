//! Services and their replicas.

use crate::admin::history::{Falls, History};
use crate::admin::numbers::{AllNumbers, Numbers};
use crate::service::replica::ReplicaView;
use crate::service::replica::fault::Faults;
use crate::service::snapshot::{RolloutView, ServiceView, Snapshot};
use crate::service::spec::Slot;
use crate::service::time::Moment;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// Whether the container engine answers.
    pub engine_up: bool,
    pub services: Vec<ServiceJson>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Service")]
pub struct ServiceJson {
    pub name: String,
    pub min: u32,
    pub max: u32,
    /// Desired count of replicas.
    pub desired: u32,
    /// Count set by hand with `scale`; null: the policy decides.
    #[serde(default)]
    pub by_hand: Option<u32>,
    /// Whether it sleeps: its replicas are paused or gone, and a request wakes it.
    #[serde(default)]
    pub asleep: bool,
    pub ready: u32,
    /// Requests since Tidegate started.
    pub requests: u64,
    /// Requests that count for scaling.
    pub requests_counted: u64,
    /// Mean of the last ten seconds.
    #[serde(default)]
    pub requests_per_second: f64,
    /// Requests in flight to replicas.
    #[serde(default)]
    pub in_flight: u64,
    /// Requests that wait for a replica.
    #[serde(default)]
    pub held: u64,
    /// Median duration of the last minute's answers; null: there were none. From a request's first
    /// byte to its answer's last, at most an eighth too high.
    #[serde(default)]
    pub p50_seconds: Option<f64>,
    /// 99th percentile of these durations.
    #[serde(default)]
    pub p99_seconds: Option<f64>,
    /// The share of 5xx in the last minute's answers, 0 to 1.
    #[serde(default)]
    pub error_rate: Option<f64>,
    /// Reasons of the plan.
    pub because: Vec<String>,
    /// Image of new containers.
    #[serde(default)]
    pub image: Option<String>,
    /// Configured image, when another one is in use after a deploy by hand or a rollback.
    #[serde(default)]
    pub configured_image: Option<String>,
    /// Last logs of a failed replica, while replicas fail one after another.
    #[serde(default)]
    pub last_words: Option<LastLogsJson>,
    /// Routes, as in `shop.example.com/api` or `*/`; empty: every request without another service.
    #[serde(default)]
    pub routes: Vec<String>,
    /// The last rollout.
    #[serde(default)]
    pub rollout: Option<RolloutJson>,
    /// The last request that failed at its replicas: the client got 502, 504 or a broken answer.
    #[serde(default)]
    pub last_error: Option<LastError>,
    /// Replicas in slot order.
    pub replicas: Vec<ReplicaJson>,
}

/// The last lines of a replica that failed and is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LastWords")]
pub struct LastLogsJson {
    pub slot: u16,
    pub lines: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Rollout")]
pub struct RolloutJson {
    /// Stage: `rolling`, `watching`, `done`, `rolling back`, `rolled back` or `paused`.
    pub stage: String,
    pub from: String,
    pub to: String,
    /// Ready replicas of the wanted version.
    pub ready: u32,
    /// Replicas of other versions.
    pub others: u32,
    pub wanted: u32,
    pub took_seconds: f64,
    /// Reason of a rollback or pause.
    pub why: Option<String>,
    pub failures: Vec<FailedReplicaJson>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "FailedReplica")]
pub struct FailedReplicaJson {
    pub slot: u16,
    pub why: String,
    /// The last lines of its log.
    pub last_words: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Replica")]
pub struct ReplicaJson {
    pub slot: u16,
    pub id: String,
    /// State: `starting`, `ready`, `draining`, `sick`, `asleep` or `stopping`.
    pub state: String,
    /// Seconds in this state.
    pub since_seconds: f64,
    /// Seconds since its container was created; null for an address.
    #[serde(default)]
    pub age_seconds: Option<f64>,
    pub address: Option<String>,
    pub in_flight: u64,
    /// Requests since it became ready.
    pub requests: u64,
    /// Mean of the last ten seconds.
    #[serde(default)]
    pub requests_per_second: f64,
    /// Failures of replicas in this slot since Tidegate started.
    #[serde(default)]
    pub restarts: u64,
    /// The last of these failures.
    #[serde(default)]
    pub last_failure: Option<LastFailure>,
    /// The last request that failed here, also if another replica answered it.
    #[serde(default)]
    pub last_error: Option<LastError>,
    /// Reason of the state.
    pub because: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastFailure {
    pub time: String,
    pub why: String,
}

/// A request that failed at a replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastError {
    pub time: String,
    pub slot: u16,
    pub replica: String,
    pub why: String,
}

pub fn overview(snapshot: &Snapshot, numbers: &AllNumbers, history: &History) -> Overview {
    let services = snapshot.services.values().map(|view| {
        let numbers = numbers.get(&view.name).map(AsRef::as_ref);
        service(view, snapshot.taken, numbers, &history.falls(&view.name))
    });
    Overview {
        engine_up: snapshot.engine_up,
        services: services.collect(),
    }
}

pub fn service(
    view: &ServiceView,
    taken: Moment,
    numbers: Option<&Numbers>,
    falls: &BTreeMap<Slot, Falls>,
) -> ServiceJson {
    let none = Numbers::default();
    let numbers = numbers.unwrap_or(&none);
    let seconds = |took: Option<Duration>| took.map(|took| took.as_secs_f64());
    let replicas = view.replicas.iter().map(|it| {
        let rate = numbers.replicas.get(&it.generation);
        replica(it, taken, rate.copied(), falls.get(&it.slot))
    });
    let replicas: Vec<ReplicaJson> = replicas.collect();
    ServiceJson {
        name: view.name.to_string(),
        min: view.min,
        max: view.max,
        desired: view.desired,
        by_hand: view.by_hand,
        asleep: view.asleep,
        ready: view.ready.len() as u32,
        requests: view.load.total(),
        requests_counted: view.load.counted(),
        requests_per_second: rounded(numbers.requests_per_second),
        in_flight: replicas.iter().map(|replica| replica.in_flight).sum(),
        held: view.load.held(),
        p50_seconds: seconds(numbers.p50),
        p99_seconds: seconds(numbers.p99),
        error_rate: numbers.error_rate,
        because: view.because.clone(),
        image: view.image.clone(),
        configured_image: view.configured_image.clone(),
        last_words: view.last_logs.as_ref().map(|logs| LastLogsJson {
            slot: logs.slot,
            lines: logs.lines.clone(),
        }),
        routes: view
            .spec
            .iter()
            .flat_map(|spec| &spec.routes)
            .map(ToString::to_string)
            .collect(),
        rollout: view.rollout.as_ref().map(rollout),
        last_error: last_error(&view.load.faults),
        replicas,
    }
}

fn replica(
    view: &ReplicaView,
    taken: Moment,
    requests_per_second: Option<f64>,
    falls: Option<&Falls>,
) -> ReplicaJson {
    let live = view.live.as_ref();
    ReplicaJson {
        slot: view.slot,
        id: view.id.0.to_string(),
        state: view.phase.as_str().to_owned(),
        since_seconds: taken.since(view.since).as_secs_f64(),
        age_seconds: age(view.generation).map(|age| age.as_secs_f64()),
        address: view.address.map(|address| address.to_string()),
        in_flight: live.map_or(0, |live| live.gate.inside()),
        requests: live.map_or(0, |live| live.requests()),
        requests_per_second: rounded(requests_per_second.unwrap_or(0.0)),
        restarts: falls.map_or(0, |falls| falls.count),
        last_failure: falls.map(|falls| LastFailure {
            time: falls.time.clone(),
            why: falls.why.clone(),
        }),
        last_error: live.and_then(|live| last_error(&live.faults)),
        because: view.because.clone(),
    }
}

fn last_error(faults: &Faults) -> Option<LastError> {
    let fault = faults.last()?;
    Some(LastError {
        time: humantime::format_rfc3339_millis(fault.at).to_string(),
        slot: fault.slot,
        replica: fault.id.0.to_string(),
        why: fault.why.clone(),
    })
}

/// Age of a replica. A container's generation is its creation in milliseconds, which its label keeps
/// through restarts of Tidegate; that of an address is no time.
fn age(generation: u64) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    now.checked_sub(Duration::from_millis(generation))
}

/// Rounds to a hundredth.
fn rounded(rate: f64) -> f64 {
    (rate * 100.0).round() / 100.0
}

fn rollout(view: &RolloutView) -> RolloutJson {
    let failures = view.failures.iter().map(|failed| FailedReplicaJson {
        slot: failed.slot,
        why: failed.why.clone(),
        last_words: failed.last_logs.clone(),
    });
    RolloutJson {
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
