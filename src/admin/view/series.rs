//! Numbers of the last minutes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What services were like in the last minutes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Lately {
    /// When the newest points were taken.
    pub time: String,
    /// From one point to the next.
    pub every_seconds: f32,
    /// By name.
    pub services: BTreeMap<String, Series>,
}

/// One service, a number a point: the newest last, as many of each, 150 at most.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    pub requests_per_second: Vec<f32>,
    pub in_flight: Vec<u32>,
    pub held: Vec<u32>,
    pub p50_seconds: Vec<Option<f32>>,
    pub p99_seconds: Vec<Option<f32>>,
    pub error_rate: Vec<Option<f32>>,
    pub desired: Vec<u32>,
    pub ready: Vec<u32>,
}
