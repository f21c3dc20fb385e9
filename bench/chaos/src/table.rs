//! The table, for people and for programs.

use crate::docker::Docker;
use crate::edge::Kind;
use crate::events::{Event, Over};
use crate::happened::Strength;
use crate::phase::Conditions;
use crate::row::{Row, human, ms};
use serde::Serialize;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- chaos: written by `chaos --update` -->";
const BEGIN_H2: &str = "<!-- chaos over h2: written by `chaos --over h2 --update` -->";
const BEGIN_SHORT: &str = "<!-- chaos, in short: written by `chaos --update` -->";
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
    over: Over,
    rate: f64,
    rounds: u32,
    pub rows: Vec<Row>,
}

/// One event behind one edge, in all its rounds: counts are sums, times are the worst.
struct Line<'a>(Vec<&'a Row>);

impl Line<'_> {
    fn sum(&self, of: impl Fn(&Row) -> usize) -> usize {
        self.0.iter().map(|row| of(row)).sum()
    }

    fn worst(&self, of: impl Fn(&Row) -> f64) -> String {
        human(self.0.iter().map(|row| of(row)).fold(0.0, f64::max))
    }

    fn failed(&self) -> usize {
        self.sum(|row| row.failed_get + row.failed_post)
    }

    fn strength(&self) -> String {
        let strengths = self.0.iter().map(|row| row.full_strength);
        let worst = strengths.max_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        match worst {
            None | Some(Strength::Untouched) => "-".to_owned(),
            Some(Strength::After(after)) => human(ms(after)),
            Some(Strength::Never) => "never".to_owned(),
        }
    }

    fn kept(&self) -> String {
        let kept: Vec<bool> = self.0.iter().filter_map(|row| row.kept).collect();
        let times = kept.iter().filter(|kept| **kept).count();
        match (kept.len(), times) {
            (0, _) => "-".to_owned(),
            (1, 1) => "yes".to_owned(),
            (1, _) => "NO".to_owned(),
            (rounds, times) if times < rounds => format!("NO, {times} of {rounds}"),
            (rounds, _) => format!("yes, {rounds} of {rounds}"),
        }
    }

    fn cells(&self) -> [String; 10] {
        [
            self.0[0].edge.as_str().to_owned(),
            self.0[0].event.to_owned(),
            self.sum(|row| row.sent).to_string(),
            self.sum(|row| row.failed_get).to_string(),
            self.sum(|row| row.failed_post).to_string(),
            self.worst(|row| row.p50_ms),
            self.worst(|row| row.p99_ms),
            self.worst(|row| row.longest_ms),
            self.strength(),
            self.kept(),
        ]
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
    pub async fn new(
        conditions: &Conditions,
        peers: Vec<String>,
        rounds: u32,
    ) -> Result<Results, String> {
        let info = [
            "info",
            "--format",
            "{{.NCPU}} CPUs, Linux {{.KernelVersion}}, Docker {{.ServerVersion}}, live-restore {{.LiveRestoreEnabled}}",
        ];
        Ok(Results {
            machine: Docker::default().run(&info).await?,
            peers,
            over: conditions.over,
            rate: conditions.rate,
            rounds,
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

    fn lines(&self) -> Vec<Line<'_>> {
        let mut lines: Vec<Line> = Vec::new();
        for row in &self.rows {
            let same = |line: &&mut Line| {
                let first = line.0[0];
                (first.edge, first.event) == (row.edge, row.event)
            };
            match lines.iter_mut().find(same) {
                Some(line) => line.0.push(row),
                None => lines.push(Line(vec![row])),
            }
        }
        lines
    }

    fn text(&self) -> String {
        let rows: Vec<_> = self.lines().iter().map(Line::cells).collect();
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
        for line in self.lines() {
            let _ = writeln!(text, "| {} |", line.cells().join(" | "));
        }
        let remarks = self.rows.iter().flat_map(|row| {
            let remarks = row.remarks.iter();
            remarks.map(|remark| format!("\n{} {}: {remark}.\n", row.edge.as_str(), row.event))
        });
        remarks.fold(text, |text, remark| text + &remark)
    }

    /// One line an event, both edges beside each other.
    fn short(&self) -> String {
        let lines = self.lines();
        let mut text = format!("{}.\n\n", self.conditions());
        text += "| event | failed of sent | p99 | longest | full strength | HAProxy: failed of sent | p99 |\n";
        text += "|---|--:|--:|--:|--:|--:|--:|\n";
        for line in lines.iter().filter(|line| line.0[0].edge == Kind::Tidegate) {
            let event = line.0[0].event;
            let peer = lines
                .iter()
                .find(|peer| (peer.0[0].edge, peer.0[0].event) == (Kind::Haproxy, event));
            let failed = |line: &Line| format!("{} of {}", line.failed(), line.sum(|row| row.sent));
            let _ = writeln!(
                text,
                "| `{event}` | {} | {} | {} | {} | {} | {} |",
                failed(line),
                line.worst(|row| row.p99_ms),
                line.worst(|row| row.longest_ms),
                line.strength(),
                peer.map_or("-".to_owned(), failed),
                peer.map_or("-".to_owned(), |peer| peer.worst(|row| row.p99_ms)),
            );
        }
        text
    }

    fn conditions(&self) -> String {
        let late = self.rows.iter().map(|row| row.client_late_ms);
        let peers = self.peers.iter().map(|peer| format!(", {peer}"));
        format!(
            "{}{}; {} requests a second{}; the client was late by {} at most",
            self.machine,
            peers.collect::<String>(),
            self.rate,
            match self.rounds {
                1 => String::new(),
                rounds => format!("; {rounds} rounds, counts added up, times the worst"),
            },
            human(late.fold(0.0, f64::max)),
        )
    }

    /// Writes the table between the two comments of a document.
    pub fn update(&self, file: &Path) -> Result<(), String> {
        let failed = |why| format!("writing the table into {}: {why}", file.display());
        let text = fs::read_to_string(file).map_err(|why| failed(why.to_string()))?;
        let (begin, table) = match (text.contains(BEGIN_SHORT), self.over) {
            (_, Over::H2) => (BEGIN_H2, self.markdown()),
            (true, Over::H1) => (BEGIN_SHORT, self.short()),
            (false, Over::H1) => (BEGIN, self.markdown()),
        };
        let parts = text
            .split_once(begin)
            .and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
        let (head, tail) =
            parts.ok_or_else(|| failed(format!("no `{begin}` and `{END}` in it")))?;
        let text = format!("{head}{begin}\n\n{table}\n{END}{tail}");
        fs::write(file, text).map_err(|why| failed(why.to_string()))
    }
}

/// The list of events to choose from.
pub fn list(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let peer = match event.applies_to(Kind::Haproxy, Over::H1) {
            true => " (HAProxy, too)",
            false => "",
        };
        let _ = writeln!(text, "{:<14} {}{peer}", event.name, event.about);
    }
    text
}
