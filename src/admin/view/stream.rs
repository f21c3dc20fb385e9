//! Events, and the state in their stream.

use super::service::ServiceJson;
use crate::admin::event_json::EventJson;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A message `state` of the stream of events.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "State")]
pub struct StateJson {
    /// Whether these are all services, which replace any earlier state.
    pub full: bool,
    /// Time of the state.
    pub time: String,
    pub engine_up: bool,
    /// Services that changed.
    pub services: Vec<ServiceJson>,
    /// Names of services that are gone.
    pub removed: Vec<String>,
}

/// Recent events.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Events")]
pub struct EventsJson {
    /// Events, the oldest first, 1000 at most.
    pub events: Vec<EventJson>,
    /// Whether events after `after` are lost.
    pub missed: bool,
}
