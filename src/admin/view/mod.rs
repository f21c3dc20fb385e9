//! Types of the admin API, as JSON. The command line reads the same types.

mod certificates;
mod decisions;
mod orders;
mod process;
mod series;
mod service;
mod stream;

pub use super::event_json::EventJson;
pub use certificates::{CertificateJson, CertificatesJson, certificates};
pub use decisions::{DecisionJson, DecisionsJson, PolicyJson, decision, decisions};
pub use orders::{
    Auto, DeployRequest, DeployResult, DrainRequest, DrainResult, ReloadRequest, ReloadResult,
    ReplicaCount, ScaleRequest, ScaleResult, TokenJson,
};
pub use process::{ProblemJson, VersionJson};
pub use series::{RecentSeries, Series};
pub use service::{
    FailedReplicaJson, LastError, LastFailure, LastLogsJson, Overview, ReplicaJson, RolloutJson,
    ServiceJson, overview, service,
};
pub use stream::{EventsJson, StateJson};
