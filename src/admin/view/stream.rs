//! Events, and the state in their stream.

use super::service::Service;
use crate::admin::told::Told;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A message `state` of the stream of events.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct State {
    /// These are all services, and whatever was known before is void.
    pub full: bool,
    /// When it was written.
    pub time: String,
    pub engine_up: bool,
    /// Those that changed.
    pub services: Vec<Service>,
    /// Names of those that are there no more.
    pub removed: Vec<String>,
}

/// What happened lately.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Events {
    /// The oldest first, 1000 at most.
    pub events: Vec<Told>,
    /// Something that came after `after` is not kept any more.
    pub missed: bool,
}
