//! `make bench`: see the library.

#![forbid(unsafe_code)]

use clap::{Parser, ValueEnum};
use compare::case::Case;
use compare::edge::Which;
use compare::rounds::{Bench, WINDOWS};
use compare::{backend, containers, place, speed, table};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::task::LocalSet;

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
    /// How often each edge is measured in each case [default: 3; with --quick 1]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// A second for each closed loop, and one round
    #[arg(long)]
    quick: bool,
    /// Idle connections whose memory is measured; fewer when too few open files are granted
    #[arg(long, default_value_t = 10_000)]
    idle: usize,
    /// Write the tables into this file, between its marks
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
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("compare: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no request failed.
async fn run(options: &Options) -> Result<bool, String> {
    let began = Instant::now();
    let tidegate = options.tidegate.canonicalize();
    let tidegate = tidegate.map_err(|why| format!("{}: {why}", options.tidegate.display()))?;
    let edges = match options.edge.is_empty() {
        true => Which::ALL.to_vec(),
        false => options.edge.clone(),
    };
    let versions: Result<Vec<String>, String> =
        edges.iter().map(|edge| edge.version(&tidegate)).collect();
    let versions = versions?.join(", ");
    let second = Duration::from_secs(1);
    let mut bench = Bench {
        tidegate,
        edges,
        rounds: options
            .rounds
            .unwrap_or(if options.quick { 1 } else { 3 })
            .into(),
        closed: if options.quick { second } else { 2 * second },
        open: second / 2,
        backend: backend::start()?,
        failures: Vec::new(),
    };
    let cases = match options.only.is_empty() {
        true => Case::value_variants(),
        false => &options.only,
    };
    let without = speed::without_an_edge(bench.backend[0], bench.closed).await?;
    let mut rows = Vec::new();
    let mut tables = Vec::new();
    for case in cases {
        eprintln!("{:>4.0} s: {}", began.elapsed().as_secs_f64(), case.about());
        match case {
            Case::Memory => {
                let connections = options.idle.min(place::connections_max()?);
                let spaces = bench.memory(connections).await?;
                tables.push(table::space(&spaces, connections));
            }
            Case::Container | Case::Published => match containers::missing().await {
                Some(why) => tables.push(format!("{}: left out, {why}.\n", case.about())),
                None => rows.extend(bench.containers(*case).await?),
            },
            _ => rows.extend(bench.fixed(*case).await?),
        }
    }
    if !rows.is_empty() {
        tables.insert(0, table::speed(&rows));
    }
    for why in &bench.failures {
        tables.push(format!("FAILED: {why}\n"));
    }
    let text = format!(
        "{versions}; {} CPUs, Linux {}; {} round{} of {:.1} s and {WINDOWS} times {:.1} s; \
         the clients and the servers alone: {without:.0} requests/s.\n\n{}",
        place::processors(),
        kit::process::kernel(),
        bench.rounds,
        if bench.rounds == 1 { "" } else { "s" },
        bench.closed.as_secs_f64(),
        bench.open.as_secs_f64(),
        tables.join("\n"),
    );
    println!("{text}");
    if let Some(file) = &options.update {
        kit::marks::update(file, "compare", &text)?;
    }
    Ok(bench.failures.is_empty())
}
