//! Orders and their results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of `POST /api/v1/token` to a valid token.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Token")]
pub struct TokenJson {
    pub valid: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Reloaded")]
pub struct ReloadResult {
    /// Changes, in a sentence.
    pub changed: String,
}

/// Body of `POST …/reload`; an empty body is an empty object.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reload")]
pub struct ReloadRequest {
    /// Also returns to the file's images where others were deployed by hand.
    #[serde(default)]
    pub image_from_file: bool,
}

/// Body of `POST …/deploy`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Deploy")]
pub struct DeployRequest {
    /// Image to run; default: the configured one, with the present content of its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Deployed")]
pub struct DeployResult {
    /// Name of the image, and id of its content.
    pub version: String,
    /// Whether a rollout began; false: every replica runs it already.
    pub begun: bool,
}

/// Body of `POST …/drain`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Drain")]
pub struct DrainRequest {
    /// The replica's host port.
    pub slot: u16,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Drained")]
pub struct DrainResult {
    /// The container that is being replaced.
    pub id: String,
}

/// Body of `POST …/scale`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scale")]
pub struct ScaleRequest {
    pub replicas: ReplicaCount,
}

/// Number of replicas, until changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number of replicas, or \"auto\"")]
#[schemars(rename = "Count")]
pub enum ReplicaCount {
    Fixed(u32),
    Auto(Auto),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// As many as the policy decides.
    Auto,
}

impl From<ReplicaCount> for Option<u32> {
    fn from(count: ReplicaCount) -> Option<u32> {
        match count {
            ReplicaCount::Fixed(count) => Some(count),
            ReplicaCount::Auto(Auto::Auto) => None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Scaled")]
pub struct ScaleResult {
    /// Desired count now.
    pub desired: u32,
    pub by_hand: Option<u32>,
}
