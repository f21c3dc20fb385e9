//! Orders and their results.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `POST /api/v1/token` says to whoever has the token.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    pub valid: bool,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// What is different now, in a sentence.
    pub changed: String,
}

/// Body of `POST …/reload`; nothing at all is the same as an empty object.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// Also replaces images that were deployed by hand by those of the file.
    #[serde(default)]
    pub image_from_file: bool,
}

/// What `POST …/deploy` takes.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// Left out: the configured one, as its name is understood now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deployed {
    /// The image, and what its name stands for.
    pub version: String,
    /// False when every replica runs it already.
    pub begun: bool,
}

/// What `POST …/drain` takes.
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

/// What `POST …/scale` takes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    pub replicas: Count,
}

/// How many replicas there shall be until told otherwise.
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
    /// How many are wanted now.
    pub desired: u32,
    pub by_hand: Option<u32>,
}
