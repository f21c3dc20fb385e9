//! The numbers of one phase.

use crate::edge::Kind;
use crate::events::Event;
use crate::happened::{Happened, Strength};
use crate::load::{Failure, Sample, Sent};
use crate::promise::{Promise, Seen};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Failures that are shown one by one under an event; --json and --logs have them all.
const SHOWN_MAX: usize = 10;

/// One event behind one edge, once.
#[derive(Serialize)]
pub struct Row {
    pub edge: Kind,
    pub event: &'static str,
    pub round: u32,
    promise: Promise,
    /// Nothing where nothing was promised, as by a peer.
    pub kept: Option<bool>,
    /// Why it was not.
    broken: Vec<String>,
    pub sent: usize,
    pub failed_get: usize,
    pub failed_post: usize,
    /// Of the requests that were answered.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Of all, failed ones too.
    pub longest_ms: f64,
    pub full_strength: Strength,
    /// Of the replicas that the event made necessary, on average.
    start_ms: Option<f64>,
    /// How late the client itself was, at most.
    pub client_late_ms: f64,
    pub remarks: Vec<String>,
    failures: Vec<Failed>,
}

/// A request that failed.
#[derive(Clone, Serialize)]
struct Failed {
    request: u64,
    /// When it was due, from the event on; negative: before.
    due_ms: f64,
    waited_ms: f64,
    method: &'static str,
    path: &'static str,
    slow_upload: bool,
    reused_connection: bool,
    what: Failure,
}

impl Row {
    pub fn new(kind: Kind, event: &Event, round: u32, happened: &Happened, sent: Sent) -> Row {
        let at = happened.at.saturating_duration_since(sent.began);
        let done = happened.done.saturating_duration_since(sent.began);
        let bad = sent.samples.iter().filter_map(|sample| {
            let failure = sample.outcome.as_ref().err()?.clone();
            Some((sample.due, sample.ask.method, failure))
        });
        let bad: Vec<_> = bad.collect();
        let of = |method| bad.iter().filter(|failed| failed.1 == method).count();
        let answered = sent.samples.iter().filter(|sample| sample.outcome.is_ok());
        let mut waits: Vec<Duration> = answered.map(|sample| sample.wait).collect();
        waits.sort_unstable();
        let longest = sent.samples.iter().map(|sample| sample.wait).max();
        let longest = longest.unwrap_or_default();
        let p99 = percentile(&waits, 99);
        let promised = kind == Kind::Tidegate && event.promise.is_one();
        let broken = match promised {
            false => Vec::new(),
            true => event.promise.broken(&Seen {
                happened,
                failed: &bad,
                moment: (at, done),
                p99,
                longest,
            }),
        };
        Row {
            edge: kind,
            event: event.name,
            round,
            promise: event.promise,
            kept: promised.then_some(broken.is_empty()),
            broken,
            sent: sent.samples.len(),
            failed_get: of("GET"),
            failed_post: of("POST"),
            p50_ms: ms(percentile(&waits, 50)),
            p99_ms: ms(p99),
            longest_ms: ms(longest),
            full_strength: happened.strength,
            start_ms: happened.start_time.map(ms),
            client_late_ms: ms(sent.late_max),
            remarks: happened.remarks.clone(),
            failures: sent
                .samples
                .iter()
                .filter_map(|sample| failed(sample, at))
                .collect(),
        }
    }

    /// For whoever waits for the table.
    pub fn sentence(&self) -> String {
        let mut text = format!(
            "{} {}: {} sent, {} GET and {} POST failed",
            self.edge.as_str(),
            self.event,
            self.sent,
            self.failed_get,
            self.failed_post,
        );
        for why in &self.broken {
            let _ = write!(text, "; not as promised: {why}");
        }
        text
    }

    pub fn failures_as_json(&self) -> String {
        serde_json::to_string_pretty(&self.failures).unwrap_or_default()
    }

    /// How often each thing went wrong, and the first ones in full.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        let name = format!(
            "{} {} (round {})",
            self.edge.as_str(),
            self.event,
            self.round
        );
        for why in &self.broken {
            let _ = writeln!(text, "{name}: not as promised: {why}");
        }
        for remark in &self.remarks {
            let _ = writeln!(text, "{name}: {remark}");
        }
        if self.failures.is_empty() {
            return text;
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for failed in &self.failures {
            let kind = format!("{} {}", failed.method, failed.what);
            *counts.entry(kind).or_default() += 1;
        }
        let counts = counts
            .iter()
            .map(|(kind, count)| format!("{count} × {kind}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "{name}: {counts}");
        for failed in self.failures.iter().take(SHOWN_MAX) {
            let _ = writeln!(
                text,
                "  {:+8.0} ms  {:4} {}{}, {} connection: {} after {}",
                failed.due_ms,
                failed.method,
                failed.path,
                if failed.slow_upload { " in halves" } else { "" },
                if failed.reused_connection {
                    "used"
                } else {
                    "new"
                },
                failed.what,
                human(failed.waited_ms),
            );
        }
        if self.failures.len() > SHOWN_MAX {
            let _ = writeln!(text, "  and {} more", self.failures.len() - SHOWN_MAX);
        }
        text
    }
}

fn failed(sample: &Sample, at: Duration) -> Option<Failed> {
    let what = sample.outcome.as_ref().err()?.clone();
    Some(Failed {
        request: sample.number,
        due_ms: ms(sample.due) - ms(at),
        waited_ms: ms(sample.wait),
        method: sample.ask.method,
        path: sample.ask.path,
        slow_upload: sample.ask.slow,
        reused_connection: sample.reused,
        what,
    })
}

/// Of sorted values; the smallest that at least `percent` of them do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    let at = rank.saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

pub fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

pub fn human(ms: f64) -> String {
    match ms {
        _ if ms < 999.5 => format!("{ms:.0} ms"),
        _ => format!("{:.2} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let hundred: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&hundred, 50), Duration::from_millis(50));
        assert_eq!(percentile(&hundred, 99), Duration::from_millis(99));
        assert_eq!(percentile(&hundred[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
