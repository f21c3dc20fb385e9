//! Results of an event.

use serde::{Serialize, Serializer};
use std::time::Duration;
use tokio::time::Instant;

/// An event that is over, and what it led to.
pub struct Happened {
    pub at: Instant,
    /// When what was typed had been done.
    pub done: Instant,
    pub strength: Strength,
    /// Of a replica that the event made necessary.
    pub start_time: Option<Duration>,
    /// What the table has no column for.
    pub remarks: Vec<String>,
    /// What else was promised and did not come to pass.
    pub broken: Vec<String>,
}

/// How long it took until everything that is wanted was there again.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Nothing was missing at any time.
    Untouched,
    /// In JSON, in milliseconds.
    #[serde(serialize_with = "as_ms")]
    After(Duration),
    /// Not while anybody looked.
    Never,
}

fn as_ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_millis() as u64)
}
