//! The process itself, and problems.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Version")]
pub struct VersionJson {
    /// Version of the running process.
    pub version: String,
}

impl Default for VersionJson {
    fn default() -> Self {
        VersionJson {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemJson {
    /// The problem, and what to do.
    pub error: String,
}
