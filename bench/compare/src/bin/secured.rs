//! TLS beside the peers: processor time of a request on a kept connection, of a full handshake with
//! one request, and of a resumed one; memory of connections that idle.

#![forbid(unsafe_code)]

use clap::Parser;
use compare::edge::{Certificate, Edge, Setup, Which};
use compare::figures::Figure;
use compare::{backend, place};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// Until memory that is freed late is freed.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
const NAME: &str = "edge.test";
const KEPT_CONNECTIONS: &str = "20";
const KEPT_REQUESTS: u32 = 100_000;
const HANDSHAKES: u32 = 4_000;
const IDLE_CONNECTIONS: usize = 500;

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

/// A case: how a connection begins, and what is sent on it.
#[derive(Clone, Copy)]
enum Case {
    Kept,
    Full,
    Resumed,
}

impl Case {
    const ALL: [Case; 3] = [Case::Kept, Case::Full, Case::Resumed];

    fn about(self) -> &'static str {
        match self {
            Case::Kept => "small GET over h1, 20 connections",
            Case::Full => "full handshake and one GET",
            Case::Resumed => "resumed handshake and one GET",
        }
    }
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
            eprintln!("secured: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), String> {
    let tidegate = options.tidegate.canonicalize();
    let tidegate = tidegate.map_err(|why| format!("{}: {why}", options.tidegate.display()))?;
    let replicas = backend::start()?.to_vec();
    let (certificate, config) = certificate()?;
    let setup = |which| Setup {
        which,
        tidegate: tidegate.clone(),
        replicas: replicas.clone(),
        services: None,
        health: backend::HEALTH,
        logs_requests: false,
        certificate: Some(certificate.clone()),
        under: place::of_the_edge(),
        starts_within: STARTS_WITHIN,
    };
    let is_wanted = |which: &Which| options.edge.is_empty() || options.edge.contains(which);
    let edges: Vec<Which> = Which::ALL.into_iter().filter(is_wanted).collect();
    let peer = edges.iter().position(|which| *which == Which::Haproxy);
    let mut text = format!(
        "{} CPUs, Linux {}; {} rounds; one certificate (ECDSA P-256).\n\n| case | edge | |\n|---|---|--:|\n",
        place::processors(),
        kit::process::kernel(),
        options.rounds,
    );
    for case in Case::ALL {
        let mut figures: Vec<Figure> = edges.iter().map(|_| Figure::default()).collect();
        for _ in 0..options.rounds {
            let mut found = Vec::new();
            for which in &edges {
                let edge = Edge::start(&setup(*which)).await?;
                let measured = cpu(&edge, case, &config).await;
                let name = which.name();
                let log = edge.log();
                found.push(measured.map_err(|why| format!("{name}: {why}\n{log}"))?);
                edge.stop().await;
            }
            let of_peer = peer.map(|at| found[at]);
            for (at, value) in found.iter().enumerate() {
                let against = of_peer.filter(|_| Some(at) != peer);
                figures[at].push(*value, against);
            }
        }
        for (which, figure) in edges.iter().zip(&figures) {
            let (case, edge) = (case.about(), which.name());
            eprintln!("{case}, {edge}: {figure} us");
            let _ = writeln!(text, "| {case}: CPU µs | {edge} | {figure} |");
        }
    }
    for which in &edges {
        let edge = Edge::start(&setup(*which)).await?;
        let idle = memory(&edge, &config).await?;
        edge.stop().await;
        let edge = which.name();
        eprintln!("{edge}: {idle:.1} KiB an idle connection");
        let _ = writeln!(text, "| idle connection: KiB | {edge} | {idle:.1} |");
    }
    println!("\n{text}");
    match &options.update {
        Some(file) => kit::marks::update(file, "secured", &text),
        None => Ok(()),
    }
}

/// A certificate, and a client that trusts it and keeps no session.
fn certificate() -> Result<(Certificate, ClientConfig), String> {
    let said = |why: rcgen::Error| why.to_string();
    let key = rcgen::KeyPair::generate().map_err(said)?;
    let params = rcgen::CertificateParams::new([NAME.to_owned(), "127.0.0.1".to_owned()]);
    let signed = params.and_then(|params| params.self_signed(&key));
    let signed = signed.map_err(said)?;
    let mut roots = RootCertStore::empty();
    let added = roots.add(signed.der().clone());
    added.map_err(|why| why.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions();
    let config = config.map_err(|why| why.to_string())?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let pair = Certificate {
        certificate: signed.pem(),
        key: key.serialize_pem(),
    };
    Ok((pair, config))
}

/// Microseconds of an edge's processor for a request of a case.
async fn cpu(edge: &Edge, case: Case, config: &ClientConfig) -> Result<f64, String> {
    match case {
        Case::Kept => kept(edge).await,
        Case::Full => handshakes(edge, config.clone(), HandshakeKind::Full).await,
        Case::Resumed => {
            let mut config = config.clone();
            config.resumption = Resumption::in_memory_sessions(16);
            handshakes(edge, config, HandshakeKind::Resumed).await
        }
    }
}

async fn kept(edge: &Edge) -> Result<f64, String> {
    let (requests, uri) = (
        KEPT_REQUESTS.to_string(),
        format!("https://{}/", edge.secure),
    );
    let before = edge.process.cpu()?;
    let ran = Command::new("h2load")
        .args(["--h1", "-c", KEPT_CONNECTIONS, "-n", &requests, &uri])
        .kill_on_drop(true)
        .output()
        .await;
    let ran = ran.map_err(|why| format!("h2load: {why}"))?;
    let took = edge.process.cpu()? - before;
    let said = String::from_utf8_lossy(&ran.stdout);
    match said.contains(&format!(" {requests} succeeded, 0 failed")) {
        true => Ok(took.as_secs_f64() * 1e6 / f64::from(KEPT_REQUESTS)),
        false => Err(said.into_owned()),
    }
}

async fn handshakes(edge: &Edge, config: ClientConfig, kind: HandshakeKind) -> Result<f64, String> {
    let connector = TlsConnector::from(Arc::new(config));
    // Brings a ticket, and the edge's connections to its replicas.
    for _ in 0..10 {
        once(edge, &connector).await?;
    }
    let before = edge.process.cpu()?;
    for _ in 0..HANDSHAKES {
        let made = once(edge, &connector).await?;
        let is_meant = match kind {
            HandshakeKind::Resumed => made == HandshakeKind::Resumed,
            _ => made != HandshakeKind::Resumed,
        };
        if !is_meant {
            return Err(format!("a handshake was {made:?}"));
        }
    }
    let took = edge.process.cpu()? - before;
    Ok(took.as_secs_f64() * 1e6 / f64::from(HANDSHAKES))
}

/// One connection with one request.
async fn once(edge: &Edge, connector: &TlsConnector) -> Result<HandshakeKind, String> {
    let asked = async {
        let mut stream = connect(edge, connector).await?;
        ask(&mut stream, "close").await?;
        let kind = stream.get_ref().1.handshake_kind();
        // The rest, which is the other side's goodbye.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        Ok::<_, std::io::Error>(kind)
    };
    let asked = timeout(STARTS_WITHIN, asked).await;
    let kind = asked.map_err(|_| "a connection takes too long")?;
    let kind = kind.map_err(|why| why.to_string())?;
    kind.ok_or("no handshake".to_owned())
}

async fn connect(edge: &Edge, connector: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(edge.secure).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
    connector.connect(name, stream).await
}

/// A request, until its answer is there.
async fn ask(stream: &mut TlsStream<TcpStream>, connection: &str) -> std::io::Result<()> {
    let request = format!("GET / HTTP/1.1\r\nhost: {NAME}\r\nconnection: {connection}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut seen = Vec::new();
    while memchr::memmem::find(&seen, b"\r\n\r\nok").is_none() {
        if stream.read_buf(&mut seen).await? == 0 {
            let said = String::from_utf8_lossy(&seen).into_owned();
            return Err(std::io::Error::other(format!("no answer: {said}")));
        }
    }
    Ok(())
}

/// KiB of each connection that idles after a request.
async fn memory(edge: &Edge, config: &ClientConfig) -> Result<f64, String> {
    let connector = TlsConnector::from(Arc::new(config.clone()));
    once(edge, &connector).await?;
    sleep(SETTLES_WITHIN).await;
    let before = edge.process.look()?.memory;
    let mut held = Vec::new();
    for _ in 0..IDLE_CONNECTIONS {
        let opened = async {
            let mut stream = connect(edge, &connector).await?;
            ask(&mut stream, "keep-alive").await?;
            Ok::<_, std::io::Error>(stream)
        };
        let opened = timeout(STARTS_WITHIN, opened).await;
        let opened = opened.map_err(|_| "a connection takes too long")?;
        held.push(opened.map_err(|why| why.to_string())?);
    }
    sleep(SETTLES_WITHIN).await;
    let grown = edge.process.look()?.memory.saturating_sub(before);
    Ok(grown as f64 / 1024.0 / IDLE_CONNECTIONS as f64)
}
