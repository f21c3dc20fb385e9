//! The edges take turns: each round begins with another one, and each is compared with HAProxy in
//! the same round.

use crate::backend;
use crate::case::Case;
use crate::client::Clients;
use crate::containers::{self, Containers};
use crate::edge::{Edge, Setup, Which};
use crate::figures::Figure;
use crate::memory::{self, Memory};
use crate::place;
use crate::speed::{self, Most, Waits};
use crate::table::{Space, Speed, SpeedRow};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Memory hardly differs from one to the next.
const MEMORY_ROUNDS: usize = 2;
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Open loops in a round. A machine that halts for some milliseconds spoils the tail of whoever is
/// measured then: of many short windows that are a few, and the median does not see them.
pub const WINDOWS: usize = 5;
/// An edge that can do no more than this many times the rate of the open loop is left out of it.
const KEEPS_UP: f64 = 1.2;

pub struct Bench {
    pub tidegate: PathBuf,
    pub edges: Vec<Which>,
    pub rounds: usize,
    /// How long each loop is counted.
    pub closed: Duration,
    pub open: Duration,
    pub backend: [SocketAddr; 2],
    /// Failures, beside which the rest goes on.
    pub failures: Vec<String>,
}

impl Bench {
    fn setup(&self, which: Which, replicas: &[SocketAddr], health: &'static str) -> Setup {
        Setup {
            which,
            tidegate: self.tidegate.clone(),
            replicas: replicas.to_vec(),
            services: None,
            health,
            logs_requests: false,
            certificate: None,
            under: place::of_the_edge(),
            starts_within: STARTS_WITHIN,
        }
    }

    fn kept<T>(&mut self, about: &str, measured: Result<T, String>) -> Option<T> {
        measured
            .inspect_err(|why| {
                let why = format!("{about}: {why}");
                eprintln!("        {why}");
                self.failures.push(why);
            })
            .ok()
    }

    pub async fn fixed(&mut self, case: Case) -> Result<Vec<SpeedRow>, String> {
        let replicas = self.backend;
        self.speed(case, &replicas, backend::HEALTH).await
    }

    pub async fn containers(&mut self, case: Case) -> Result<Vec<SpeedRow>, String> {
        let containers = Containers::start(2).await?;
        let replicas = match case {
            Case::Published => &containers.published,
            _ => &containers.own,
        };
        self.speed(case, replicas, containers::HEALTH).await
    }

    async fn speed(
        &mut self,
        case: Case,
        replicas: &[SocketAddr],
        health: &'static str,
    ) -> Result<Vec<SpeedRow>, String> {
        let mut edges = Vec::new();
        for which in &self.edges {
            let mut setup = self.setup(*which, replicas, health);
            setup.logs_requests = case == Case::GetLogged;
            edges.push(Edge::start(&setup).await?);
        }
        let clients: Vec<Clients> = edges
            .iter()
            .map(|edge| Clients {
                edge: edge.address,
                ask: case.ask(),
                connections: case.connections(),
                always_new: case == Case::New,
            })
            .collect();
        let peer = edges.iter().position(|edge| edge.which == Which::Haproxy);
        let mut speeds = vec![Speed::default(); edges.len()];
        let mut rate = None;
        for round in 0..self.rounds {
            let mut most: Vec<Option<Most>> = edges.iter().map(|_| None).collect();
            for at in turn(round, edges.len()) {
                let measured = speed::most(&edges[at], &clients[at], self.closed).await;
                most[at] = self.kept(case.about(), measured);
            }
            for (at, speed) in speeds.iter_mut().enumerate() {
                speed.push_most(&most, at, peer.filter(|peer| *peer != at));
            }
            let rate = *rate.get_or_insert_with(|| rate_of(&edges, &most));
            let keeps_up = |most: &Option<Most>| {
                most.as_ref()
                    .is_some_and(|most| most.per_second > rate * KEEPS_UP)
            };
            for window in 0..WINDOWS {
                let mut waits: Vec<Option<Waits>> = edges.iter().map(|_| None).collect();
                for at in turn(round + window, edges.len()) {
                    if keeps_up(&most[at]) {
                        let measured =
                            speed::waits(&edges[at], &clients[at], rate, self.open).await;
                        waits[at] = self.kept(case.about(), measured);
                    }
                }
                for (at, speed) in speeds.iter_mut().enumerate() {
                    speed.push_waits(&waits, at, peer.filter(|peer| *peer != at));
                }
            }
        }
        let mut rows = Vec::new();
        for (edge, speed) in edges.into_iter().zip(speeds) {
            let (name, cpu) = (edge.which.name(), &speed.cpu_micros);
            eprintln!("        {name:<9} {cpu} µs, p99 {} ms", speed.p99_millis);
            if case == Case::GetLogged && edge.access_log_bytes() == 0 {
                return Err(format!("{name} wrote no access log"));
            }
            rows.push(SpeedRow {
                case: case.about(),
                which: edge.which,
                rate: rate.unwrap_or_default(),
                speed,
            });
            edge.stop().await;
        }
        Ok(rows)
    }

    /// As many connections as a process may have files here, of which Tidegate reckons with two
    /// for each.
    pub async fn memory(&mut self, connections: usize) -> Result<Vec<(Which, Space)>, String> {
        let mut spaces = vec![Space::default(); self.edges.len()];
        let peer = self.edges.iter().position(|edge| *edge == Which::Haproxy);
        for round in 0..self.rounds.min(MEMORY_ROUNDS) {
            let mut found: Vec<Option<Memory>> = self.edges.iter().map(|_| None).collect();
            for at in turn(round, self.edges.len()) {
                let setup = self.setup(self.edges[at], &self.backend, backend::HEALTH);
                let edge = Edge::start(&setup).await?;
                let measured = memory::of(&edge, connections).await;
                let about = format!("memory of {}", edge.which.name());
                found[at] = self.kept(&about, measured);
                edge.stop().await;
            }
            for (at, space) in spaces.iter_mut().enumerate() {
                space.push(&found, at, peer.filter(|peer| *peer != at));
            }
        }
        Ok(self.edges.iter().copied().zip(spaces).collect())
    }
}

/// Half of what the slower one of Tidegate and HAProxy can do: the same for all, and too much for
/// neither.
fn rate_of(edges: &[Edge], most: &[Option<Most>]) -> f64 {
    let all = |only: &[Which]| {
        edges
            .iter()
            .zip(most)
            .filter(|(edge, _)| only.contains(&edge.which))
            .filter_map(|(_, most)| Some(most.as_ref()?.per_second))
            .fold(f64::INFINITY, f64::min)
    };
    let slower = all(&[Which::Tidegate, Which::Haproxy]);
    let slower = if slower.is_finite() {
        slower
    } else {
        all(&Which::ALL)
    };
    if slower.is_finite() {
        slower / 2.0
    } else {
        100.0
    }
}

/// The order in which they are measured in this round.
fn turn(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |at| (at + round) % count)
}

fn push<T>(
    figure: &mut Figure,
    found: &[Option<T>],
    at: usize,
    peer: Option<usize>,
    value: impl Fn(&T) -> f64,
) {
    if let Some(mine) = &found[at] {
        let other = peer.and_then(|peer| found[peer].as_ref());
        figure.push(value(mine), other.map(&value));
    }
}

impl Speed {
    fn push_most(&mut self, most: &[Option<Most>], at: usize, peer: Option<usize>) {
        push(&mut self.per_second, most, at, peer, |most| most.per_second);
        push(&mut self.cpu_micros, most, at, peer, |most| {
            most.cpu.as_secs_f64() * 1e6
        });
        push(&mut self.busy_percent, most, at, None, |most| {
            most.busy * 100.0
        });
    }

    fn push_waits(&mut self, waits: &[Option<Waits>], at: usize, peer: Option<usize>) {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        push(&mut self.p50_millis, waits, at, peer, |waits| {
            millis(waits.p50)
        });
        push(&mut self.p99_millis, waits, at, peer, |waits| {
            millis(waits.p99)
        });
        push(&mut self.p999_millis, waits, at, peer, |waits| {
            millis(waits.p999)
        });
    }
}

impl Space {
    fn push(&mut self, found: &[Option<Memory>], at: usize, peer: Option<usize>) {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        push(&mut self.resident_mib, found, at, peer, |memory| {
            mib(memory.resident)
        });
        push(&mut self.proportional_mib, found, at, peer, |memory| {
            mib(memory.proportional)
        });
        push(&mut self.for_each_kib, found, at, peer, |memory| {
            memory.for_each / 1024.0
        });
    }
}
