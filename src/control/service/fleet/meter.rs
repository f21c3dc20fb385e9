//! The use that one replica makes of its machine.

use crate::service::time::Moment;
use crate::service::usage::{Usage, Used};
use std::time::Duration;

/// Older measurements count as not known.
const FRESH_FOR: Duration = Duration::from_secs(15);

#[derive(Default)]
pub struct Meter(Option<Reading>);

struct Reading {
    usage: Usage,
    at: Moment,
    /// `None` after the first measurement: use is a difference of two.
    millicores: Option<u64>,
}

impl Meter {
    pub fn read(&mut self, usage: Usage, now: Moment) {
        let before = self.0.as_ref();
        let millicores = before.and_then(|before| usage.millicores_since(&before.usage));
        self.0 = Some(Reading {
            usage,
            at: now,
            millicores,
        });
    }

    /// Adds what is known of this replica to what all of them use.
    pub fn add_to(&self, used: &mut Used, now: Moment) {
        let Some(reading) = &self.0 else {
            return;
        };
        let Some(millicores) = reading.millicores else {
            return;
        };
        if now.since(reading.at) > FRESH_FOR {
            return;
        }
        used.replicas += 1;
        used.millicores += millicores;
        used.memory_bytes += reading.usage.memory_bytes;
        used.memory_limit_bytes = reading.usage.memory_limit_bytes;
    }
}
