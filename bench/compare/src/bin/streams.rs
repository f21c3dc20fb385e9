//! HTTP/2 of clients beside the peers: processor time of a request by `h2load`, and memory of
//! connections that idle and of streams whose answer nobody reads.

#![forbid(unsafe_code)]

use clap::Parser;
use compare::edge::{Edge, Setup, Which};
use compare::figures::Figure;
use compare::{backend, place};
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Until memory that is freed late is freed.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 200;
/// Streams of each connection whose answers are not read.
const STALLED: u32 = 10;

/// Connections, streams of each, requests, and the path.
const LOADS: [(&str, [&str; 4]); 3] = [
    ("small, 20 connections x 10", ["20", "10", "200000", "/"]),
    ("small, 200 connections x 1", ["200", "1", "100000", "/"]),
    (
        "1 MiB, 4 connections x 4",
        ["4", "4", "4000", "/bytes/1048576"],
    ),
];

#[derive(Parser)]
struct Options {
    /// The binary under test
    tidegate: PathBuf,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Measures these edges only
    #[arg(long)]
    edge: Vec<Which>,
    /// Write the table into this file, between its marks
    #[arg(long)]
    update: Option<PathBuf>,
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
            eprintln!("streams: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), String> {
    let tidegate = options.tidegate.canonicalize();
    let tidegate = tidegate.map_err(|why| format!("{}: {why}", options.tidegate.display()))?;
    let replicas = backend::start()?.to_vec();
    let setup = |which| Setup {
        which,
        tidegate: tidegate.clone(),
        replicas: replicas.clone(),
        services: None,
        health: backend::HEALTH,
        logs_requests: false,
        certificate: None,
        under: place::of_the_edge(),
        starts_within: STARTS_WITHIN,
    };
    let is_wanted = |which: &Which| options.edge.is_empty() || options.edge.contains(which);
    let edges: Vec<Which> = Which::ALL.into_iter().filter(is_wanted).collect();
    let peer = edges.iter().position(|which| *which == Which::Haproxy);
    let mut text = format!(
        "{} CPUs, Linux {}; {} rounds.\n\n| case | edge | |\n|---|---|--:|\n",
        place::processors(),
        kit::process::kernel(),
        options.rounds,
    );
    for (name, load) in LOADS {
        let mut figures: Vec<Figure> = edges.iter().map(|_| Figure::default()).collect();
        for _ in 0..options.rounds {
            let mut found = Vec::new();
            for which in &edges {
                let edge = Edge::start(&setup(*which)).await?;
                found.push(cpu(&edge, load).await?);
                edge.stop().await;
            }
            let of_peer = peer.map(|at| found[at]);
            for (at, value) in found.iter().enumerate() {
                let against = of_peer.filter(|_| Some(at) != peer);
                figures[at].push(*value, against);
            }
        }
        for (which, figure) in edges.iter().zip(&figures) {
            let edge = which.name();
            eprintln!("{name}, {edge}: {figure} us");
            let _ = writeln!(text, "| {name}: CPU µs/request | {edge} | {figure} |");
        }
    }
    for which in &edges {
        let edge = Edge::start(&setup(*which)).await?;
        let [idle, stalled] = memory(&edge).await?;
        edge.stop().await;
        let edge = which.name();
        eprintln!("{edge}: {idle:.1} KiB an idle connection, {stalled:.1} a stalled stream");
        let _ = writeln!(text, "| idle connection: KiB | {edge} | {idle:.1} |");
        let _ = writeln!(
            text,
            "| stream with 1 MiB unread: KiB | {edge} | {stalled:.1} |"
        );
    }
    println!("\n{text}");
    match &options.update {
        Some(file) => kit::marks::update(file, "streams", &text),
        None => Ok(()),
    }
}

/// Microseconds of an edge's processor for a request of a load.
async fn cpu(
    edge: &Edge,
    [connections, streams, requests, path]: [&str; 4],
) -> Result<f64, String> {
    let uri = format!("http://{}{path}", edge.streams);
    let before = edge.process.cpu()?;
    let ran = Command::new("h2load")
        .args(["-c", connections, "-m", streams, "-n", requests, &uri])
        .kill_on_drop(true)
        .output()
        .await;
    let ran = ran.map_err(|why| format!("h2load: {why}"))?;
    let took = edge.process.cpu()? - before;
    let said = String::from_utf8_lossy(&ran.stdout);
    let done = format!(" {requests} succeeded, 0 failed");
    if !said.contains(&done) {
        return Err(format!("{}: {said}\n{}", edge.which.name(), edge.log()));
    }
    let requests: f64 = requests.parse().map_err(|_| "no number")?;
    Ok(took.as_secs_f64() * 1e6 / requests)
}

/// KiB of each connection that idles, and of each stream whose answer is not read.
async fn memory(edge: &Edge) -> Result<[f64; 2], String> {
    sleep(SETTLES_WITHIN).await;
    let mut held = Vec::new();
    let mut all = Vec::new();
    let mut before = edge.process.look()?.memory;
    for streams in [0, STALLED] {
        for _ in 0..CONNECTIONS {
            let opened = timeout(STARTS_WITHIN, open(edge.streams, streams)).await;
            held.push(opened.map_err(|_| "a connection takes too long")??);
        }
        sleep(SETTLES_WITHIN).await;
        let now = edge.process.look()?.memory;
        let count = CONNECTIONS * streams.max(1) as usize;
        all.push(now.saturating_sub(before) as f64 / 1024.0 / count as f64);
        before = now;
    }
    Ok([all[0], all[1]])
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A GET: fields of the static table, the path and the host.
fn get(stream: u32, path: &str) -> Vec<u8> {
    let mut head = vec![0x82, 0x86, 0x04, path.len() as u8];
    head.extend(path.as_bytes());
    head.extend(b"\x01\x07example");
    frame(1, 5, stream, &head)
}

/// A connection that had an answer, and asks for so many more that it has no room for.
async fn open(address: SocketAddr, stalled: u32) -> Result<TcpStream, String> {
    let opened = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await?;
        // Windows of 64 bytes: enough for the small answer.
        stream
            .write_all(&frame(4, 0, 0, &[0, 4, 0, 0, 0, 64]))
            .await?;
        stream.write_all(&frame(4, 1, 0, &[])).await?;
        stream.write_all(&get(1, "/")).await?;
        let mut seen = Vec::new();
        while memchr::memmem::find(&seen, b"\0\0\0\x01ok").is_none() {
            if stream.read_buf(&mut seen).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let requests: Vec<u8> = (1..=stalled)
            .flat_map(|number| get(2 * number + 1, "/bytes/1048576"))
            .collect();
        stream.write_all(&requests).await?;
        Ok(stream)
    };
    let opened: std::io::Result<TcpStream> = opened.await;
    opened.map_err(|why| format!("a connection: {why}"))
}
