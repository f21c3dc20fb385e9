//! Tidegate with nothing to do, and with a thousand services of ten addresses and ten routes each:
//! start, memory, processor, and what a reload does to running traffic.

#![forbid(unsafe_code)]

use clap::Parser;
use compare::client::connection::{Ask, Connection};
use compare::client::{Clients, open};
use compare::edge::{Edge, Setup, Which};
use compare::figures::{Figure, short};
use compare::{backend, place};
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

const STARTS_WITHIN: Duration = Duration::from_secs(120);
const ASKED_EVERY: Duration = Duration::from_millis(10);
/// Until what follows from a start is over.
const SETTLES_WITHIN: Duration = Duration::from_secs(12);
const IDLES_FOR: Duration = Duration::from_secs(20);
const TRAFFIC_LASTS: Duration = Duration::from_secs(5);
const RELOAD_AFTER: Duration = Duration::from_secs(2);
const ADDRESSES: usize = 10;
const ROUTES: usize = 10;

#[derive(Parser)]
struct Options {
    /// The binary under test
    tidegate: PathBuf,
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u16).range(1..=1000))]
    services: u16,
    /// Requests a second while it is reloaded
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Pairs of traffic without and with a reload
    #[arg(long, default_value_t = 5)]
    rounds: usize,
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
            eprintln!("scale: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<(), String> {
    let tidegate = options.tidegate.canonicalize();
    let tidegate = tidegate.map_err(|why| format!("{}: {why}", options.tidegate.display()))?;
    let mut text = format!(
        "{}; {} CPUs, Linux {}; {} requests/s, {} rounds.\n\n| | | |\n|---|--:|---|\n",
        Which::Tidegate.version(&tidegate)?,
        place::processors(),
        kit::process::kernel(),
        options.rate,
        options.rounds,
    );
    let mut row = |what: &str, value: String, about: &str| {
        eprintln!("{what}: {value} {about}");
        let _ = writeln!(text, "| {what} | {value} | {about} |");
    };
    idle(&tidegate, &mut row).await?;
    at_scale(&tidegate, options, &mut row).await?;
    println!("\n{text}");
    match &options.update {
        Some(file) => kit::marks::update(file, "scale", &text),
        None => Ok(()),
    }
}

fn setup(tidegate: &Path, replicas: Vec<SocketAddr>, services: Option<String>) -> Setup {
    Setup {
        which: Which::Tidegate,
        tidegate: tidegate.to_owned(),
        replicas,
        services,
        health: backend::HEALTH,
        logs_requests: false,
        certificate: None,
        under: place::anywhere(),
        starts_within: STARTS_WITHIN,
    }
}

type Row<'a> = &'a mut dyn FnMut(&str, String, &str);

async fn idle(tidegate: &Path, row: Row<'_>) -> Result<(), String> {
    let edge = Edge::start(&setup(tidegate, backend::start()?.to_vec(), None)).await?;
    sleep(Duration::from_secs(2)).await;
    let share = share(&edge, IDLES_FOR).await?;
    row(
        "idle, 2 addresses: CPU",
        share,
        "of a core, health checks every second",
    );
    row(
        "idle, 2 addresses: memory",
        memory(&edge)?,
        "resident / proportional",
    );
    edge.stop().await;
    Ok(())
}

async fn at_scale(tidegate: &Path, options: &Options, row: Row<'_>) -> Result<(), String> {
    let port = backend::everywhere()?;
    let count = options.services;
    let before = setup(tidegate, Vec::new(), Some(services(count, port, "old")));
    let after = setup(tidegate, Vec::new(), Some(services(count, port, "new")));
    let about = format!("{count} services, {} routes", usize::from(count) * ROUTES);

    let began = Instant::now();
    let edge = Edge::start(&before).await?;
    let last = Ask::host(&host(count - 1), "/part-1");
    answered(edge.address, &last).await?;
    let started = began.elapsed();
    row(
        &format!("{about}: start"),
        seconds(started),
        "to the first answer of the last service",
    );
    answered(edge.admin, &Ask::path("/readyz")).await?;
    row(
        &format!("{about}: ready"),
        seconds(began.elapsed()),
        "every service has a ready replica",
    );
    sleep(SETTLES_WITHIN).await;
    let addresses = usize::from(count) * ADDRESSES;
    let checked = format!("of a core; {addresses} addresses, each checked every 10 s");
    row(
        &format!("{about}: CPU"),
        share(&edge, IDLES_FOR).await?,
        &checked,
    );
    row(
        &format!("{about}: memory"),
        memory(&edge)?,
        "resident / proportional",
    );

    let clients = Clients {
        edge: edge.address,
        ask: last,
        connections: 32,
        always_new: false,
    };
    let (mut reloads, mut served) = (Figure::default(), Figure::default());
    let (mut calm, mut moved) = (Figure::default(), Figure::default());
    let mut longest = Figure::default();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let warm_up = Duration::from_millis(500);
    let rate = f64::from(options.rate);
    for round in 0..options.rounds {
        let is_odd = round % 2 == 1;
        let (next, changed) = match is_odd {
            false => (&after, "/new"),
            true => (&before, "/old"),
        };
        let without = open::run(&clients, rate, warm_up, TRAFFIC_LASTS).await?;
        let reload = async {
            sleep(RELOAD_AFTER).await;
            let began = Instant::now();
            edge.reload(next).await?;
            let took = began.elapsed();
            answered(edge.address, &Ask::host(&host(0), changed)).await?;
            Ok::<_, String>((took, began.elapsed()))
        };
        let with = open::run(&clients, rate, warm_up, TRAFFIC_LASTS);
        let (with, reloaded) = tokio::join!(with, reload);
        let (with, (took, until)) = (with?, reloaded?);
        let failed = without
            .first_failure
            .as_ref()
            .or(with.first_failure.as_ref());
        if let Some(why) = failed {
            return Err(format!("a request failed during a reload: {why}"));
        }
        reloads.push(millis(took), None);
        served.push(millis(until), None);
        calm.push(millis(without.quantile(0.99)), None);
        let calm = millis(without.quantile(0.99));
        moved.push(millis(with.quantile(0.99)), Some(calm));
        longest.push(
            millis(with.quantile(1.0)),
            Some(millis(without.quantile(1.0))),
        );
    }
    let ms = |figure: &Figure| format!("{figure} ms");
    row(
        &format!("{about}: reload"),
        ms(&reloads),
        "`tidegate reload`, its own start included",
    );
    row(
        &format!("{about}: new route"),
        ms(&served),
        "from that command to its first answer",
    );
    row("p99 without a reload", ms(&calm), "");
    row(
        "p99 with one",
        ms(&moved),
        "ratio to the same round without, least-largest",
    );
    row("longest with one", ms(&longest), "the same");
    row(
        &format!("{about}: memory after reloads"),
        memory(&edge)?,
        "resident / proportional",
    );
    edge.stop().await;
    Ok(())
}

fn host(service: u16) -> String {
    format!("shop-{service}.example.com")
}

/// The first one has a route of its own name, and whatever nobody claims.
fn services(count: u16, port: u16, own: &str) -> String {
    let mut text = String::new();
    for service in 0..count {
        let host = host(service);
        let addresses: Vec<String> = (0..ADDRESSES)
            .map(|at| {
                let number = usize::from(service) * ADDRESSES + at;
                let (high, low) = (number / 250, number % 250);
                format!("\"127.1.{high}.{}:{port}\"", low + 1)
            })
            .collect();
        let mut routes: Vec<String> = (0..ROUTES)
            .map(|route| format!("{{ host: {host}, path: /part-{route} }}"))
            .collect();
        if service == 0 {
            routes.truncate(ROUTES - 2);
            routes.push(format!("{{ host: {host}, path: /{own} }}"));
            routes.push("{ path: /health }".to_owned());
        }
        let _ = write!(
            text,
            "  shop-{service}:\n    addresses: [{}]\n    routes: [{}]\n    \
             healthcheck: {{ type: tcp, interval: 10s }}\n",
            addresses.join(", "),
            routes.join(", "),
        );
    }
    text
}

async fn answered(address: SocketAddr, ask: &Ask) -> Result<(), String> {
    let asked = async {
        loop {
            let open = Connection::open(Ipv4Addr::LOCALHOST, address, ask);
            if let Ok(mut connection) = open.await
                && connection.ask(ask).await.is_ok()
            {
                return;
            }
            sleep(ASKED_EVERY).await;
        }
    };
    let asked = timeout(STARTS_WITHIN, asked).await;
    asked.map_err(|_| format!("{address} does not answer with 200"))
}

async fn share(edge: &Edge, lasts: Duration) -> Result<String, String> {
    let before = edge.process.cpu()?;
    sleep(lasts).await;
    let used = edge.process.cpu()? - before;
    Ok(format!(
        "{:.2} %",
        used.as_secs_f64() / lasts.as_secs_f64() * 100.0
    ))
}

fn memory(edge: &Edge) -> Result<String, String> {
    let mib = |bytes: u64| short(bytes as f64 / f64::from(1 << 20));
    let resident = mib(edge.process.look()?.memory);
    Ok(format!(
        "{resident} / {} MiB",
        mib(edge.process.proportional_memory()?)
    ))
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
