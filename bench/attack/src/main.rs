//! Attacks an edge with thousands of slow connections of one kind at a time, while a well-behaved
//! client goes on, and says what became of both. `bench/README.md` has the method and the results.

#![forbid(unsafe_code)]

mod attackers;
mod backend;
mod client;
mod edge;
mod options;
mod table;

use attackers::Kind;
use clap::Parser;
use edge::{Edge, Which};
use options::Options;
use std::process::ExitCode;
use std::time::Duration;
use table::Row;
use tokio::time::{Instant, sleep};

/// How long the client is alone before.
const CALM: Duration = Duration::from_secs(6);
/// Memory and files are given back within this: Tidegate keeps connections to the servers behind
/// for 30 s, in case of another request.
const RECOVERY: Duration = Duration::from_secs(45);
/// As many more files than before are as good as none: the client's own, kept behind the edge.
const KEPT: u64 = 50;
/// An allocator gives memory back when it is asked for some: so the client goes on for so long,
/// as it would have in life, before memory is looked at.
const AFTERWARDS: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("attack: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the client of Tidegate was never failed.
async fn run(options: &Options) -> Result<bool, String> {
    kit::process::raise_open_files()?;
    let backend = backend::start().await?;
    let all = |chosen: &[Kind]| match chosen.is_empty() {
        true => Kind::ALL.to_vec(),
        false => chosen.to_vec(),
    };
    let edges = match options.edge.is_empty() {
        true => vec![Which::Tidegate, Which::Haproxy],
        false => options.edge.clone(),
    };
    let mut rows = Vec::new();
    for which in edges {
        for kind in all(&options.only) {
            let edge = Edge::start(which, &options.binary, backend).await?;
            let row = attack(&edge, kind, options).await?;
            println!("{row}");
            rows.push(row);
        }
    }
    let text = table::render(&rows, options);
    match &options.update {
        Some(file) => kit::marks::update(file, "attack", &text)?,
        None => println!("\n{text}"),
    }
    Ok(rows
        .iter()
        .all(|row| row.which != Which::Tidegate || row.failed == 0))
}

async fn attack(edge: &Edge, kind: Kind, options: &Options) -> Result<Row, String> {
    let calm = client::run(edge.address, options.rate, CALM).await;
    let before = edge.process.look()?;
    let army = attackers::start(kind, edge.address, options.connections);
    let mut peak = before;
    let watched = async {
        loop {
            sleep(Duration::from_millis(200)).await;
            if let Ok(now) = edge.process.look() {
                peak = peak.max(now);
            }
        }
    };
    let lasts = Duration::from_secs(options.seconds);
    let load = tokio::select! {
        load = client::run(edge.address, options.rate, lasts) => load,
        () = watched => unreachable!("it watches for ever"),
    };
    let army = army.stop().await;
    let over = Instant::now();
    let back = loop {
        sleep(Duration::from_millis(200)).await;
        let now = edge.process.look()?;
        if now.files <= before.files + KEPT {
            break Some(over.elapsed());
        }
        if over.elapsed() > RECOVERY {
            break None;
        }
    };
    let afterwards = client::run(edge.address, options.rate, AFTERWARDS).await;
    Ok(Row {
        which: edge.which,
        kind,
        sent: load.sent,
        failed: calm.failed + load.failed + afterwards.failed,
        first_failure: load.first_failure.clone().or(afterwards.first_failure),
        p50: load.quantile(0.5),
        p99_calm: calm.quantile(0.99),
        p99: load.quantile(0.99),
        opened: army.opened,
        refused: army.refused,
        cut: army.cut,
        before,
        peak,
        after: edge.process.look()?,
        back,
    })
}
