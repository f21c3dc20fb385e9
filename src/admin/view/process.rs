//! The process itself, and problems.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Of the running process.
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
    /// What is wrong, and what to do.
    pub error: String,
}
