//! The table, sent down every way. Replicas must get the same, clients must get the same, and the
//! same must be counted; the table names each intended difference with its reason.
//!
//! Each way has an edge process of its own, and each row a service of its own in it, so rows run
//! beside each other. The first way is the reference. A new way is one entry in `WAYS`, a new case one
//! row in `requests.rs` or `replies.rs`.

use super::bridge;
use super::edge;
use super::outcome::{Outcome, matches};
use super::replica::{HEALTH, Replicas, Script};
use super::replies;
use super::requests;
use super::row::{OK, Row, Step, answers};
use super::stage::{PROBE, Stage, counted, ready};
use super::tls;
use crate::support::edge::Edge;
use crate::support::free_port;
use crate::support::tls::{Authority, Client};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// Rows of a way that run beside each other: many more, and a step takes longer than the edge waits
/// for a replica or for a client.
const AT_ONCE: usize = 12;

/// A way of requests through the edge.
struct Way {
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
    /// Text of a row as this way sends it; `None` if the way cannot carry it.
    carries: fn(&str) -> Option<String>,
    /// Whether it goes as HTTP/2.
    is_h2: bool,
    /// Whether it goes over TLS.
    is_tls: bool,
    /// Intended differences in every row: the line of the outcome, and the reason.
    differs: &'static [(&'static str, &'static str)],
}

/// All ways; the first one is the reference.
const WAYS: [Way; 5] = [
    Way {
        name: "plain",
        environment: &[],
        carries: as_it_is,
        is_h2: false,
        is_tls: false,
        differs: &[],
    },
    Way {
        name: "pingora",
        environment: &[("TIDEGATE_TEST_PINGORA_ONLY", "1")],
        carries: as_it_is,
        is_h2: false,
        is_tls: false,
        differs: &[],
    },
    Way {
        name: "tunnel",
        environment: &[],
        carries: as_a_handshake,
        is_h2: false,
        is_tls: false,
        differs: &[
            ("replica.*.head.upgrade", "it asks for a WebSocket"),
            ("replica.*.head.connection", "it asks for a WebSocket"),
            ("replica.*.head.sec-websocket-*", "it asks for a WebSocket"),
            (
                "client.*.answer.*.head.connection",
                "what follows a handshake may be meant for the tunnel, so nothing else follows",
            ),
            (
                "client.*.connection",
                "what follows a handshake may be meant for the tunnel, so nothing else follows",
            ),
        ],
    },
    Way {
        name: "tls",
        environment: &[],
        carries: as_it_is,
        is_h2: false,
        is_tls: true,
        differs: &[("replica.*.head.x-forwarded-proto", "it came over TLS")],
    },
    Way {
        name: "h2",
        environment: &[],
        carries: bridge::carries,
        is_h2: true,
        is_tls: false,
        differs: &[
            (
                "client.*.connection",
                "a request that is refused ends its stream alone",
            ),
            (
                "client.*.answer.*.head.connection",
                "a request that is refused ends its stream alone",
            ),
        ],
    },
];

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn as_it_is(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Turns a GET without a body and without hop-by-hop headers into a WebSocket handshake, which the
/// replica declines by answering as before.
fn as_a_handshake(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if !lower.contains("http/") || lower.contains("upgrade: websocket") {
        return Some(text.to_owned());
    }
    let head = text.strip_suffix("\r\n")?;
    let is_one = lower.matches("http/1.1\r\n").count() == 1 && lower.starts_with("get ");
    let is_silent = [
        "connection",
        "upgrade",
        "content-length",
        "transfer-encoding",
        "te",
    ]
    .iter()
    .all(|name| !lower.contains(&format!("\r\n{name}:")));
    (is_one && is_silent && head.ends_with("\r\n")).then(|| format!("{head}{UPGRADE}\r\n"))
}

/// Outcome of a row; `None` if the way does not carry it.
type Played = Option<Result<Outcome, String>>;

impl Way {
    fn takes(&self, row: &Row) -> bool {
        let is_without = row.without.iter().any(|without| without.0 == self.name);
        !is_without
            && row.steps.iter().all(|step| match step {
                Step::Send(text) => (self.carries)(text).is_some(),
                // A stream ends with its request, and its connection goes on.
                Step::EndSending | Step::ReceiveEnd => !self.is_h2,
                _ => true,
            })
    }

    /// Plays all rows through an edge of their own.
    async fn play(
        &self,
        rows: &[Row],
        (replicas, probe): &(Vec<Replicas>, Replicas),
    ) -> Vec<Played> {
        let https = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let authority = Authority::new("root");
        let mut edge = edge_before(self, rows, replicas, probe);
        if self.is_tls {
            authority.write(edge.folder.path(), "edge", &[tls::NAME]);
            let text = std::fs::read_to_string(edge.file()).expect("written");
            let listens = format!(
                "tls: {{ listen: [\"{https}\"], redirect: false, \
                 certificates: [{{ cert: edge.pem, key: edge.key }}] }}\n"
            );
            std::fs::write(edge.file(), listens + &text).expect("written");
        }
        edge.spawn(&[]);
        edge.listening().await;
        let services = rows.iter().filter(|row| row.is_ready);
        let services = services.map(|row| (row.name, row.replicas.len()));
        ready(&edge, services.chain([(PROBE, 1)])).await;

        let address = match (self.is_h2, self.is_tls) {
            (true, _) => bridge::to(edge.address).await,
            (false, true) => tls::to(Client::new(https, &authority)).await,
            (false, false) => edge.address,
        };
        let playing = rows.iter().zip(replicas).map(async |(row, replicas)| {
            let stage = Stage::new(row, (&edge, address), replicas, self.carries);
            match self.takes(row) {
                true => Some(stage.play().await),
                false => None,
            }
        });
        let mut outcomes: Vec<Played> = stream::iter(playing).buffered(AT_ONCE).collect().await;

        let probes = outcomes.iter().flatten().flatten();
        let probes = probes.map(Outcome::connections_that_stay).sum::<usize>();
        let taken = rows.iter().filter(|row| self.takes(row));
        let expected = taken.map(|row| row.records).sum::<usize>() + probes;
        let metrics = counted(&edge, expected).await;
        edge.signal(Signal::SIGTERM);
        edge.ended(Duration::from_secs(15)).await;
        let log = std::fs::read_to_string(edge.folder.path().join("access.log"));
        let lines: Vec<Value> = log
            .expect("the access log")
            .lines()
            .map(|line| serde_json::from_str(line).expect("a line of JSON"))
            .collect();
        for ((row, replicas), outcome) in rows.iter().zip(replicas).zip(&mut outcomes) {
            if let Some(Ok(outcome)) = outcome {
                outcome.counted(row.name, &metrics);
                let lines = lines.iter().filter(|line| is_of(line, row.name));
                let mut lines: Vec<&Value> = lines.collect();
                // Of two requests that end together, either may be recorded first.
                lines
                    .sort_by_key(|line| (line["status"].as_u64(), line["response_bytes"].as_u64()));
                for (number, line) in lines.into_iter().enumerate() {
                    outcome.record(number, line, &replicas.addresses);
                }
            }
        }
        outcomes
    }
}

/// Replicas of all rows, and the one that shows whether connections are open.
async fn replicas(rows: &[Row]) -> (Vec<Replicas>, Replicas) {
    let starting = rows
        .iter()
        .map(|row| Replicas::start(&row.replicas, row.is_ready));
    let replicas = join_all(starting).await;
    let probe: &[Script] = &[vec![answers(OK)]];
    (replicas, Replicas::start(probe, true).await)
}

/// Whether a line of the access log belongs to this row.
fn is_of(line: &Value, name: &str) -> bool {
    let host = line["host"].as_str().unwrap_or_default();
    let target = line["target"].as_str().unwrap_or_default();
    let mut path = target.split(['/', '?']);
    host.rsplit('.').next() == Some(name) || path.nth(1) == Some(name)
}

fn edge_before(way: &Way, rows: &[Row], replicas: &[Replicas], probe: &Replicas) -> Edge {
    let mut edge = Edge::prepare("").run_by(edge::TEST, edge::ARGUMENTS);
    for (name, value) in way.environment {
        edge.set(name, *value);
    }
    let log = edge.folder.path().join("access.log");
    let mut text = format!(
        "timeouts: {{ header: 2s, client_read: 2s }}\n\
         plugins: [{{ access-log: {{ path: {} }} }}]\nservices:\n",
        log.display()
    );
    let list = |addresses: &[SocketAddr]| {
        let addresses = addresses.iter().map(|address| format!("\"{address}\""));
        addresses.collect::<Vec<_>>().join(", ")
    };
    let well = "type: tcp, interval: 60s".to_owned();
    let unwell = format!("path: {HEALTH}, interval: 1s, timeout: 30s");
    let services = rows.iter().zip(replicas).map(|(row, replicas)| {
        let health = if row.is_ready { &well } else { &unwell };
        (row.name, health, row.settings, replicas)
    });
    for (name, health, settings, replicas) in services.chain([(PROBE, &well, "", probe)]) {
        let addresses = list(&replicas.addresses);
        let _ = write!(
            text,
            "  {name}:\n    addresses: [{addresses}]\n    routes: [{{ host: {name} }}]\n    \
             healthcheck: {{ {health} }}\n{settings}"
        );
    }
    edge.write(&text);
    edge
}

/// Differences that the table does not name, and named ones that no longer exist.
fn judge(way: &Way, rows: &[Row], first: &[Played], played: &[Played]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for ((row, first), outcome) in rows.iter().zip(first).zip(played) {
        let name = format!("{}, {}", row.name, way.name);
        let meant = row.differs.iter().filter(|meant| meant.0 == way.name);
        let mut found = BTreeSet::new();
        if let Some(Err(error)) = outcome {
            wrong.push(format!("{name}: {error}"));
        }
        if let (Some(Ok(first)), Some(Ok(outcome))) = (first, outcome) {
            let is_unsteady = |line: &str| row.unsteady.iter().any(|(what, _)| matches(what, line));
            for (line, one, other) in first.against(outcome) {
                if is_unsteady(line) {
                    continue;
                }
                let of_row = meant.clone().map(|meant| meant.1);
                let of_way = way.differs.iter().map(|meant| meant.0);
                let of_row = of_row.filter(|what| matches(what, line));
                let of_way = of_way.filter(|what| matches(what, line));
                if of_row.clone().chain(of_way.clone()).next().is_none() {
                    wrong.push(format!("{name}: {line}: `{other}`, first way `{one}`"));
                }
                found.extend(of_row);
                seen.extend(of_way);
            }
        }
        for (_, what, why) in meant.filter(|meant| !found.contains(meant.1)) {
            wrong.push(format!("{name}: {what} differs no more ({why})"));
        }
    }
    for (what, why) in way.differs.iter().filter(|(what, _)| !seen.contains(what)) {
        wrong.push(format!("{}: {what} differs nowhere ({why})", way.name));
    }
    wrong
}

#[tokio::test]
async fn every_way_does_the_same_but_for_what_the_table_says() {
    let rows: Vec<Row> = [requests::rows(), replies::rows()]
        .into_iter()
        .flatten()
        .collect();
    let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "each row has a name of its own");
    let ways = WAYS.map(|way| way.name);
    for row in &rows {
        let meant = row.differs.iter().map(|meant| meant.0);
        for way in meant.chain(row.without.iter().map(|without| without.0)) {
            assert!(ways.contains(&way), "{}: {way} is no way", row.name);
        }
    }
    // All replicas come first, so that none takes a port that an edge is about to listen on.
    let replicas = join_all(WAYS.iter().map(|_| replicas(&rows))).await;
    let playing = WAYS.iter().zip(&replicas);
    let played = join_all(playing.map(|(way, replicas)| way.play(&rows, replicas))).await;
    let mut wrong = Vec::new();
    for (row, played) in rows.iter().zip(&played[0]) {
        let Some(Ok(outcome)) = played else {
            continue;
        };
        let (answers, records) = (outcome.statuses(), outcome.records());
        if answers != row.answers || records != row.records {
            let name = row.name;
            wrong.push(format!("{name}: answered {answers:?}, {records} records"));
        }
    }
    for (way, outcomes) in WAYS.iter().zip(&played) {
        wrong.extend(judge(way, &rows, &played[0], outcomes));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
