//! The reasons for which a replica is replaced.

use crate::service::time::Human;
use std::fmt;
use std::time::Duration;

/// Reason for which a replica is replaced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ailment {
    Exited { code: Option<i64> },
    Paused,
    HalfMade,
    Unhealthy { why: String },
    NeverHealthy { after: Duration, why: String },
}

impl Ailment {
    /// The value of the metric label `reason`.
    pub fn label(&self) -> &'static str {
        match self {
            Ailment::Exited { .. } => "exited",
            Ailment::Paused => "paused",
            Ailment::HalfMade => "half_made",
            Ailment::Unhealthy { .. } => "unhealthy",
            Ailment::NeverHealthy { .. } => "never_healthy",
        }
    }
}

impl fmt::Display for Ailment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ailment::Exited { code: Some(code) } => write!(f, "exited with code {code}"),
            Ailment::Exited { code: None } => f.write_str("exited"),
            Ailment::Paused => f.write_str("paused"),
            Ailment::HalfMade => f.write_str("made but never started"),
            Ailment::Unhealthy { why } => write!(f, "unhealthy: {why}"),
            Ailment::NeverHealthy { after, why } => {
                write!(f, "not healthy within {}: {why}", Human(*after))
            }
        }
    }
}
