//! Types of the admin API, as JSON. The command line reads the same types.

mod decisions;
mod orders;
mod process;
mod series;
mod service;
mod stream;

pub use super::event_json::EventJson;
pub use decisions::{Asked, Decision, Decisions, decision, decisions};
pub use orders::{
    Auto, Count, Deploy, Deployed, Drain, Drained, Reload, Reloaded, Scale, Scaled, Token,
};
pub use process::{Problem, Version};
pub use series::{Lately, Series};
pub use service::{
    FailedReplica, LastError, LastFailure, LastWords, Overview, Replica, Rollout, Service,
    overview, service,
};
pub use stream::{Events, State};
