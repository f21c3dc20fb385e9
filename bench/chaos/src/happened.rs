//! Results of an event.

use serde::{Serialize, Serializer};
use std::time::Duration;
use tokio::time::Instant;

/// An event that is over, and what it led to.
pub struct Happened {
    pub at: Instant,
    /// End of the operation.
    pub done: Instant,
    pub strength: Strength,
    /// Start time of a replica that the event made necessary.
    pub start_time: Option<Duration>,
    /// Remarks beside the table's columns.
    pub remarks: Vec<String>,
    /// Other promises that were broken.
    pub broken: Vec<String>,
}

/// Time until full strength.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Nothing was missing at any time.
    Untouched,
    /// Full again after this time, in milliseconds in JSON.
    #[serde(serialize_with = "as_ms")]
    After(Duration),
    /// Not full again while the phase lasted.
    Never,
}

fn as_ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_millis() as u64)
}
