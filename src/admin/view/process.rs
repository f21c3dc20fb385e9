//! The process itself, and problems.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Version of the running process.
    pub version: String,
}

impl Default for Version {
    fn default() -> Self {
        Version {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The problem, and what to do.
    pub error: String,
}
