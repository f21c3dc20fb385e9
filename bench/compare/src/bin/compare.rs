//! `make bench`: see the library.

#![forbid(unsafe_code)]

use clap::{Parser, ValueEnum};
use compare::client::Clients;
use compare::client::connection::Ask;
use compare::containers::{self, Containers};
use compare::edge::{Edge, Setup, Which};
use compare::figures::Figure;
use compare::table::{self, Space, Speed, SpeedRow};
use compare::{backend, memory, place, speed};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

const STARTS_WITHIN: Duration = Duration::from_secs(20);
const IDLE_CONNECTIONS: usize = 10_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Case {
    /// Small GET, 64 connections that are kept
    Get,
    /// The same, with an access log
    GetLogged,
    /// Small GET, one connection
    #[value(name = "one")]
    One,
    /// Small GET, 8 connections
    #[value(name = "eight")]
    Eight,
    /// Small GET, 1000 connections
    #[value(name = "thousand")]
    Thousand,
    /// Answers of 64 KiB
    #[value(name = "64k")]
    Large,
    /// Answers of 1 MiB
    #[value(name = "1m")]
    Huge,
    /// POST of 10 KiB
    Post,
    /// A new connection for each request
    New,
    /// Containers, by their own addresses
    Container,
    /// Containers, by their published ports
    Published,
    /// Memory: idle, and 10 000 idle connections
    Memory,
}

impl Case {
    fn about(self) -> &'static str {
        match self {
            Case::Get => "small GET, 64 connections",
            Case::GetLogged => "the same, access log",
            Case::One => "small GET, 1 connection",
            Case::Eight => "small GET, 8 connections",
            Case::Thousand => "small GET, 1000 connections",
            Case::Large => "64 KiB answer",
            Case::Huge => "1 MiB answer",
            Case::Post => "10 KiB POST",
            Case::New => "new connection per request",
            Case::Container => "container, its own address",
            Case::Published => "container, published port",
            Case::Memory => "memory",
        }
    }

    fn ask(self) -> Ask {
        match self {
            Case::Large => Ask::large(64 << 10),
            Case::Huge => Ask::large(1 << 20),
            Case::Post => Ask::post(10 << 10),
            Case::New => Ask::small().last(),
            Case::Container | Case::Published => Ask::path(containers::HEALTH),
            _ => Ask::small(),
        }
    }

    fn connections(self) -> usize {
        match self {
            Case::One => 1,
            Case::Eight => 8,
            Case::Thousand => 1000,
            Case::Huge => 16,
            _ => 64,
        }
    }
}

#[derive(Parser)]
struct Options {
    /// The binary under test
    tidegate: PathBuf,
    /// Only these cases
    #[arg(long, value_enum)]
    only: Vec<Case>,
    /// Only these edges
    #[arg(long, value_enum)]
    edge: Vec<Which>,
    /// How often each edge is measured in each case, in turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// A second for each measurement, and one round unless others are asked for
    #[arg(long)]
    quick: bool,
    /// Write the tables into this file, between its marks
    #[arg(long)]
    update: Option<PathBuf>,
}

struct Bench {
    tidegate: PathBuf,
    edges: Vec<Which>,
    rounds: usize,
    closed: Duration,
    open: Duration,
    backend: [SocketAddr; 2],
}

fn main() -> ExitCode {
    let options = Options::parse();
    let measured = kit::process::raise_open_files()
        .and_then(|()| place::take_ours())
        .and_then(|()| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.map_err(|why| why.to_string())?;
            LocalSet::new().block_on(&runtime, run(&options))
        });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("compare: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), String> {
    let began = Instant::now();
    let tidegate = options.tidegate.canonicalize();
    let tidegate = tidegate.map_err(|why| format!("{}: {why}", options.tidegate.display()))?;
    let edges = match options.edge.is_empty() {
        true => Which::ALL.to_vec(),
        false => options.edge.clone(),
    };
    let versions: Result<Vec<String>, String> =
        edges.iter().map(|edge| edge.version(&tidegate)).collect();
    let versions = versions?;
    let second = Duration::from_secs(1);
    let bench = Bench {
        tidegate,
        edges,
        rounds: match (options.quick, options.rounds) {
            (true, 3) => 1,
            (_, rounds) => rounds.clamp(1, 100),
        },
        closed: if options.quick { second } else { 2 * second },
        open: if options.quick { second } else { 3 * second },
        backend: backend::start()?,
    };
    let all = Case::value_variants();
    let cases = match options.only.is_empty() {
        true => all,
        false => &options.only,
    };
    let mut rows = Vec::new();
    let mut tables = Vec::new();
    for case in cases {
        eprintln!("{:>4.0} s: {}", began.elapsed().as_secs_f64(), case.about());
        match case {
            Case::Memory => tables.push(bench.memory().await?),
            Case::Container | Case::Published => match containers::missing().await {
                Some(why) => tables.push(format!("{}: left out, {why}\n", case.about())),
                None => rows.extend(bench.containers(*case).await?),
            },
            _ => rows.extend(bench.speed(*case, &bench.backend, "/health").await?),
        }
    }
    if !rows.is_empty() {
        tables.insert(0, table::speed(&rows));
    }
    let text = format!(
        "{}; {} CPUs, Linux {}; {} round{} of {} s and {} s.\n\n{}",
        versions.join(", "),
        place::processors(),
        kit::process::kernel(),
        bench.rounds,
        if bench.rounds == 1 { "" } else { "s" },
        bench.closed.as_secs(),
        bench.open.as_secs(),
        tables.join("\n"),
    );
    println!("{text}");
    match &options.update {
        Some(file) => kit::marks::update(file, "compare", &text),
        None => Ok(()),
    }
}

impl Bench {
    fn setup(&self, which: Which, replicas: &[SocketAddr], health: &'static str) -> Setup {
        Setup {
            which,
            tidegate: self.tidegate.clone(),
            replicas: replicas.to_vec(),
            health,
            logs_requests: false,
            under: place::of_the_edge(),
            starts_within: STARTS_WITHIN,
        }
    }

    /// The edges take turns, each round begins with another one, and each is compared with
    /// HAProxy in the same round.
    async fn speed(
        &self,
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
        let clients = |edge: &Edge| Clients {
            edge: edge.address,
            ask: case.ask(),
            connections: case.connections(),
            always_new: case == Case::New,
        };
        let mut speeds = vec![Speed::default(); edges.len()];
        let mut rate = None;
        for round in 0..self.rounds {
            let mut most: Vec<_> = edges.iter().map(|_| None).collect();
            for at in turn(round, edges.len()) {
                most[at] = Some(speed::most(&edges[at], &clients(&edges[at]), self.closed).await?);
            }
            let peer = edges.iter().position(|edge| edge.which == Which::Haproxy);
            let most: Vec<speed::Most> = most.into_iter().flatten().collect();
            let rate = *rate.get_or_insert(most[peer.unwrap_or(0)].per_second / 2.0);
            let mut waits: Vec<_> = edges.iter().map(|_| None).collect();
            for at in turn(round, edges.len()) {
                let clients = clients(&edges[at]);
                waits[at] = Some(speed::waits(&edges[at], &clients, rate, self.open).await?);
            }
            let waits: Vec<speed::Waits> = waits.into_iter().flatten().collect();
            let micros = |time: Duration| time.as_secs_f64() * 1e6;
            for (at, speed) in speeds.iter_mut().enumerate() {
                let peer = peer.filter(|peer| *peer != at);
                let most_of = |what: fn(&speed::Most) -> f64| {
                    (what(&most[at]), peer.map(|peer| what(&most[peer])))
                };
                let wait_of = |what: fn(&speed::Waits) -> Duration| {
                    let millis = |at: usize| micros(what(&waits[at])) / 1e3;
                    (millis(at), peer.map(millis))
                };
                let push = |figure: &mut Figure, (value, peer)| {
                    figure.push(value, peer);
                };
                push(&mut speed.per_second, most_of(|most| most.per_second));
                push(
                    &mut speed.cpu_micros,
                    most_of(|most| most.cpu.as_secs_f64() * 1e6),
                );
                push(&mut speed.busy_percent, (most[at].busy * 100.0, None));
                push(&mut speed.p50_millis, wait_of(|waits| waits.p50));
                push(&mut speed.p99_millis, wait_of(|waits| waits.p99));
                push(&mut speed.p999_millis, wait_of(|waits| waits.p999));
            }
        }
        for (edge, speed) in edges.iter().zip(&speeds) {
            let (name, cpu) = (edge.which.name(), &speed.cpu_micros);
            eprintln!("        {name:<9} {cpu} µs, p99 {} ms", speed.p99_millis);
            if case == Case::GetLogged && edge.access_log_bytes() == 0 {
                return Err(format!("{name} wrote no access log"));
            }
        }
        let mut rows = Vec::new();
        for (edge, speed) in edges.into_iter().zip(speeds) {
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

    async fn containers(&self, case: Case) -> Result<Vec<SpeedRow>, String> {
        let containers = Containers::start(2).await?;
        let replicas = match case {
            Case::Published => &containers.published,
            _ => &containers.own,
        };
        self.speed(case, replicas, containers::HEALTH).await
    }

    async fn memory(&self) -> Result<String, String> {
        let mut spaces = vec![Space::default(); self.edges.len()];
        for round in 0..self.rounds {
            let mut found: Vec<_> = self.edges.iter().map(|_| None).collect();
            for at in turn(round, self.edges.len()) {
                let setup = self.setup(self.edges[at], &self.backend, "/health");
                let edge = Edge::start(&setup).await?;
                found[at] = Some(memory::of(&edge, IDLE_CONNECTIONS).await?);
                edge.stop().await;
            }
            let found: Vec<memory::Memory> = found.into_iter().flatten().collect();
            let peer = self.edges.iter().position(|edge| *edge == Which::Haproxy);
            for (at, space) in spaces.iter_mut().enumerate() {
                let peer = peer.filter(|peer| *peer != at);
                let of = |what: fn(&memory::Memory) -> f64| {
                    (what(&found[at]), peer.map(|peer| what(&found[peer])))
                };
                let mib = f64::from(1 << 20);
                let (value, other) = of(|memory| memory.resident as f64);
                space
                    .resident_mib
                    .push(value / mib, other.map(|other| other / mib));
                let (value, other) = of(|memory| memory.proportional as f64);
                space
                    .proportional_mib
                    .push(value / mib, other.map(|other| other / mib));
                let (value, other) = of(|memory| memory.for_each / 1024.0);
                space.for_each_kib.push(value, other);
            }
        }
        let rows: Vec<_> = self.edges.iter().copied().zip(spaces).collect();
        Ok(table::space(&rows, IDLE_CONNECTIONS))
    }
}

/// The order in which they are measured in this round.
fn turn(round: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |at| (at + round) % count)
}
