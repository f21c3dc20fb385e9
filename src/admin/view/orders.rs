//! Orders and their results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answer of `POST /api/v1/token` to a valid token.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    pub valid: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Changes, in a sentence.
    pub changed: String,
}

/// Body of `POST …/reload`; an empty body is an empty object.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// Also returns to the file's images where others were deployed by hand.
    #[serde(default)]
    pub image_from_file: bool,
}

/// Body of `POST …/deploy`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// Image to run; default: the configured one, with the present content of its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    /// Name of the image, and id of its content.
    pub version: String,
    /// Whether a rollout began; false: every replica runs it already.
    pub begun: bool,
}

/// Body of `POST …/drain`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// The replica's host port.
    pub slot: u16,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Drained {
    /// The container that is being replaced.
    pub id: String,
}

/// Body of `POST …/scale`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    pub replicas: Count,
}

/// Number of replicas, until changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a number of replicas, or \"auto\"")]
pub enum Count {
    Fixed(u32),
    Auto(Auto),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auto {
    /// As many as the policy decides.
    Auto,
}

impl From<Count> for Option<u32> {
    fn from(count: Count) -> Option<u32> {
        match count {
            Count::Fixed(count) => Some(count),
            Count::Auto(Auto::Auto) => None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Scaled {
    /// Desired count now.
    pub desired: u32,
    pub by_hand: Option<u32>,
}
