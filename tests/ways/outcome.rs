//! Outcome of a row on one way, as lines that are compared one by one.

use super::wire::Message;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Metrics of requests that have the label `service`.
const COUNTED: [&str; 9] = [
    "tidegate_http_requests_total",
    "tidegate_http_request_duration_seconds_count",
    "tidegate_http_requests_in_flight",
    "tidegate_held_requests",
    "tidegate_hold_duration_seconds_count",
    "tidegate_retries_total",
    "tidegate_retries_refused_total",
    "tidegate_replica_requests_total",
    "tidegate_ejections_total",
];
/// Fields of the access log that do not depend on time.
const RECORDED: [&str; 11] = [
    "service",
    "client",
    "method",
    "host",
    "target",
    "status",
    "slot",
    "retries",
    "request_bytes",
    "response_bytes",
    "error",
];

/// Each line has a name, as `client.0.answer.1.head.date`, and a value.
#[derive(Default)]
pub struct Outcome(BTreeMap<String, String>);

impl Outcome {
    pub fn note(&mut self, name: String, value: impl Into<String>) {
        self.0.insert(name, value.into());
    }

    /// Statuses that clients got.
    pub fn statuses(&self) -> Vec<u16> {
        let lines = self
            .0
            .iter()
            .filter(|(name, _)| name.starts_with("client.") && name.ends_with(".line"));
        let codes = lines.filter_map(|(_, line)| line.split(' ').nth(1)?.parse().ok());
        codes.collect()
    }

    /// Number of lines in the access log.
    pub fn records(&self) -> usize {
        let lines = self
            .0
            .keys()
            .filter(|name| name.starts_with("record.") && name.ends_with(".status"));
        lines.count()
    }

    /// Number of client connections that stayed open.
    pub fn connections_that_stay(&self) -> usize {
        let connections = self.0.iter().filter(|(name, value)| {
            name.ends_with(".connection") && name.starts_with("client.") && *value == "stays"
        });
        connections.count()
    }

    /// Adds a request or an answer.
    pub fn message(&mut self, name: &str, message: &Message) {
        self.note(format!("{name}.line"), &message.line);
        for (part, lines) in [("head", &message.headers), ("trailer", &message.trailers)] {
            for (header, value) in lines {
                let value = match header.as_str() {
                    "date" => "(a date)",
                    "x-request-id" => "(an id)",
                    _ => value,
                };
                // Several of one name in their order.
                let line = self.0.entry(format!("{name}.{part}.{header}")).or_default();
                *line += &format!("[{value}]");
            }
        }
        self.note(
            format!("{name}.body"),
            message.body.escape_ascii().to_string(),
        );
        if !message.is_whole {
            self.note(format!("{name}.broken"), "off");
        }
    }

    /// Adds the metrics of a service.
    pub fn counted(&mut self, service: &str, metrics: &str) {
        let label = format!("service=\"{service}\"");
        for line in metrics.lines().filter(|line| line.contains(&label)) {
            let (name, value) = line.rsplit_once(' ').unwrap_or_default();
            if let Some((metric, labels)) = name.split_once('{')
                && COUNTED.contains(&metric)
            {
                let labels = labels.replace(&label, "").replace(['"', '}'], "");
                let labels = labels.trim_matches(',').replace(",,", ",");
                self.note(format!("counted.{metric}.{labels}"), value);
            }
        }
    }

    /// Adds a line of the access log.
    pub fn record(&mut self, number: usize, line: &Value, replicas: &[SocketAddr]) {
        for field in RECORDED {
            let mut value = match &line[field] {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            for (number, replica) in replicas.iter().enumerate() {
                value = value.replace(&replica.to_string(), &format!("(replica {number})"));
            }
            if field == "error" {
                // The words around it are each way's own.
                let words = value.split_whitespace().take(2).collect::<Vec<_>>();
                value = words.join(" ");
            }
            self.note(format!("record.{number}.{field}"), value);
        }
    }

    /// Lines in which the other outcome differs, each with both values.
    pub fn against<'a>(&'a self, other: &'a Outcome) -> Vec<(&'a str, &'a str, &'a str)> {
        let names: BTreeSet<&String> = self.0.keys().chain(other.0.keys()).collect();
        let both = names.into_iter().map(|name| {
            let value =
                |outcome: &'a Outcome| outcome.0.get(name).map_or("(nothing)", String::as_str);
            (name.as_str(), value(self), value(other))
        });
        both.filter(|(_, one, other)| one != other).collect()
    }
}

/// Whether `pattern`, in which `*` stands for anything, is the name of a line.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (begin, rest) = pattern.split_once('*').unwrap_or((pattern, ""));
    let Some(left) = name.strip_prefix(begin) else {
        return false;
    };
    match begin.len() == pattern.len() {
        true => left.is_empty(),
        false => (0..=left.len()).any(|at| left.is_char_boundary(at) && matches(rest, &left[at..])),
    }
}
