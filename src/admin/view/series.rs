//! Numbers of the last minutes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Numbers of the last minutes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Lately")]
pub struct RecentSeries {
    /// Time of the newest points.
    pub time: String,
    /// Seconds between points.
    pub every_seconds: f32,
    /// Series by service.
    pub services: BTreeMap<String, Series>,
}

/// Numbers of one service by point: the newest last, 150 at most.
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
