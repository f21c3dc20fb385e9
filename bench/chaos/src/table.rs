//! The numbers, for people and for programs.

use crate::docker::docker;
use crate::edge::Kind;
use crate::events::{Event, Happened, Promise, Strength};
use crate::load::{Failure, Sample, Sent};
use crate::phase::Conditions;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Failures that are shown one by one under an event; --json and --logs have them all.
const SHOWN_MAX: usize = 10;
const BEGIN: &str = "<!-- chaos: what follows is written by `chaos --update` -->";
const END: &str = "<!-- chaos: end -->";

#[derive(Clone, Copy)]
pub enum Form {
    Text,
    Markdown,
    Json,
}

#[derive(Serialize)]
pub struct Results {
    machine: String,
    peers: Vec<String>,
    rate: f64,
    pub rows: Vec<Row>,
}

/// One event behind one edge.
#[derive(Serialize)]
pub struct Row {
    edge: Kind,
    event: &'static str,
    promise: Promise,
    /// Nothing for a peer, which promised nothing.
    pub kept: Option<bool>,
    sent: usize,
    failed_get: usize,
    failed_post: usize,
    /// Of the requests that were answered.
    p50_ms: f64,
    p99_ms: f64,
    /// Of all, failed ones too.
    longest_ms: f64,
    full_strength: Strength,
    /// How late the client itself was, at most.
    client_late_ms: f64,
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
    pub fn new(kind: Kind, event: &Event, happened: &Happened, sent: Sent) -> Row {
        let at = happened.at.saturating_duration_since(sent.began);
        let failures: Vec<Failed> = sent
            .samples
            .iter()
            .filter_map(|sample| failed(sample, at))
            .collect();
        let of = |method| {
            let of_method = failures.iter().filter(|failed| failed.method == method);
            of_method.count()
        };
        let (failed_get, failed_post) = (of("GET"), of("POST"));
        let only_refused = failures
            .iter()
            .all(|failed| failed.what == Failure::Refused);
        let kept = match event.promise {
            Promise::NoneFails => Some(failures.is_empty()),
            Promise::NoGetFails => Some(failed_get == 0),
            Promise::OnlyRefused => Some(only_refused),
            Promise::Nothing => None,
        };
        let answered = sent.samples.iter().filter(|sample| sample.outcome.is_ok());
        let mut waits: Vec<Duration> = answered.map(|sample| sample.wait).collect();
        waits.sort_unstable();
        let longest = sent.samples.iter().map(|sample| sample.wait).max();
        Row {
            edge: kind,
            event: event.name,
            promise: event.promise,
            kept: kept.filter(|_| kind == Kind::Tidegate),
            sent: sent.samples.len(),
            failed_get,
            failed_post,
            p50_ms: ms(percentile(&waits, 50)),
            p99_ms: ms(percentile(&waits, 99)),
            longest_ms: ms(longest.unwrap_or_default()),
            full_strength: happened.strength,
            client_late_ms: ms(sent.late_max),
            failures,
        }
    }

    /// For whoever waits for the table.
    pub fn sentence(&self) -> String {
        format!(
            "{} {}: {} sent, {} GET and {} POST failed{}",
            self.edge.as_str(),
            self.event,
            self.sent,
            self.failed_get,
            self.failed_post,
            match self.kept {
                Some(false) => ", which was promised not to happen",
                _ => "",
            },
        )
    }

    pub fn failures_as_json(&self) -> String {
        serde_json::to_string_pretty(&self.failures).unwrap_or_default()
    }

    fn cells(&self) -> [String; 10] {
        [
            self.edge.as_str().to_owned(),
            self.event.to_owned(),
            self.sent.to_string(),
            self.failed_get.to_string(),
            self.failed_post.to_string(),
            human(self.p50_ms),
            human(self.p99_ms),
            human(self.longest_ms),
            match self.full_strength {
                Strength::Untouched => "-".to_owned(),
                Strength::After(after) => human(ms(after)),
                Strength::Never => "never".to_owned(),
            },
            match self.kept {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "-",
            }
            .to_owned(),
        ]
    }

    /// How often each thing went wrong, and the first ones in full.
    fn explain(&self) -> String {
        let mut text = String::new();
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
        let _ = writeln!(text, "{} {}: {counts}", self.edge.as_str(), self.event);
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

const TITLES: [&str; 10] = [
    "edge",
    "event",
    "sent",
    "GET failed",
    "POST failed",
    "p50",
    "p99",
    "longest",
    "full strength",
    "as promised",
];

impl Results {
    pub async fn new(conditions: &Conditions, peers: Vec<String>) -> Result<Results, String> {
        let info = docker(&[
            "info",
            "--format",
            "{{.NCPU}} CPUs, Linux {{.KernelVersion}}, Docker {{.ServerVersion}}, live-restore {{.LiveRestoreEnabled}}",
        ]);
        Ok(Results {
            machine: info.await?,
            peers,
            rate: conditions.rate,
            rows: Vec::new(),
        })
    }

    pub fn print(&self, form: Form) -> String {
        match form {
            Form::Text => self.text(),
            Form::Markdown => self.markdown(),
            Form::Json => serde_json::to_string_pretty(self).unwrap_or_default(),
        }
    }

    fn text(&self) -> String {
        let rows: Vec<_> = self.rows.iter().map(Row::cells).collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|cells| cells[column].chars().count());
            cells.chain([TITLES[column].len()]).max().unwrap_or(0)
        };
        let line = |cells: &[String]| {
            let cells = cells.iter().enumerate().map(|(column, cell)| {
                let width = width(column);
                match column {
                    0 | 1 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let mut text = format!(
            "{}\n\n{}\n",
            self.conditions(),
            line(&TITLES.map(str::to_owned))
        );
        for cells in &rows {
            let _ = writeln!(text, "{}", line(cells));
        }
        for row in &self.rows {
            let explained = row.explain();
            if !explained.is_empty() {
                let _ = write!(text, "\n{explained}");
            }
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = format!("{}.\n\n| {} |\n|", self.conditions(), TITLES.join(" | "));
        text += "---|---|--:|--:|--:|--:|--:|--:|--:|---|\n";
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text
    }

    fn conditions(&self) -> String {
        let late = self.rows.iter().map(|row| row.client_late_ms);
        let peers = self.peers.iter().map(|peer| format!(", {peer}"));
        format!(
            "{}{}; {} requests a second; the client was late by {} at most",
            self.machine,
            peers.collect::<String>(),
            self.rate,
            human(late.fold(0.0, f64::max)),
        )
    }

    /// Writes the table between the two comments of a document.
    pub fn update(&self, file: &Path) -> Result<(), String> {
        let failed = |why| format!("writing the table into {}: {why}", file.display());
        let text = fs::read_to_string(file).map_err(|why| failed(why.to_string()))?;
        let parts = text
            .split_once(BEGIN)
            .and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
        let (head, tail) =
            parts.ok_or_else(|| failed(format!("it has no `{BEGIN}` and `{END}`")))?;
        let text = format!("{head}{BEGIN}\n\n{}\n{END}{tail}", self.markdown());
        fs::write(file, text).map_err(|why| failed(why.to_string()))
    }
}

/// What there is to choose from.
pub fn list(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let peer = match event.applies_to(Kind::Haproxy) {
            true => " (HAProxy, too)",
            false => "",
        };
        let _ = writeln!(text, "{:<13} {}{peer}", event.name, event.about);
    }
    text
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

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

fn human(ms: f64) -> String {
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
