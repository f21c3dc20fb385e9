//! Breaks things while requests come in at a constant rate, and counts the ones that fail.
//!
//! Every event has a phase of its own: a fresh edge with fresh containers, load before, during and
//! after, and a row in the table. `bench/README.md` is the method.

#![forbid(unsafe_code)]

mod authority;
mod docker;
mod edge;
mod engine;
mod events;
mod happen;
mod happened;
mod load;
mod phase;
mod promise;
mod row;
mod table;
mod tunnels;
mod wire;

use clap::{Parser, ValueEnum};
use edge::{Haproxy, Kind};
use events::{EVENTS, Event, Over};
use phase::Conditions;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use table::{Form, Results};
use tokio::signal::unix::{SignalKind, signal};

/// A promise was not kept.
const BROKEN_PROMISE: u8 = 1;
/// Nothing could be measured.
const NOT_RUN: u8 = 2;
/// As a shell says it of a command that Ctrl-C ended.
const ASKED_TO_LEAVE: u8 = 130;

/// Breaks things under load and counts what fails.
///
/// Exits with 1 when any promise was broken.
#[derive(Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// The program under test
    #[arg(default_value = "target/release/tidegate")]
    tidegate: PathBuf,
    /// Only this event, and any other that is named; all otherwise
    #[arg(long, value_name = "EVENT")]
    only: Vec<String>,
    /// Which of the two to break things behind
    #[arg(long, value_enum, default_value_t)]
    edge: Which,
    /// Protocol of the client; HAProxy is measured with h1 alone
    #[arg(long, value_enum, default_value_t)]
    over: Over,
    /// Requests a second
    #[arg(long, default_value_t = 300.0, value_parser = rate)]
    rate: f64,
    /// How long a phase lasts at least, with its 3 s before the event
    #[arg(long, default_value_t = 12)]
    seconds: u64,
    /// The first of the 200 ports on 127.0.0.1 that it uses
    #[arg(long, default_value_t = 27000, value_parser = clap::value_parser!(u16).range(1..65000))]
    port: u16,
    /// How often to do all of it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Take the time that slow events need: three minutes of silence on WebSockets
    #[arg(long)]
    long: bool,
    /// The table as JSON, with every failed request
    #[arg(long, group = "form")]
    json: bool,
    /// The table as Markdown
    #[arg(long, group = "form")]
    markdown: bool,
    /// Write the table into this file too, between its two `chaos` comments; may be repeated
    #[arg(long, value_name = "FILE")]
    update: Vec<PathBuf>,
    /// Keep logs and failed requests in this folder
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    /// Say which events there are, and end
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Which {
    #[default]
    Both,
    Tidegate,
    Haproxy,
}

impl Which {
    fn kinds(self) -> &'static [Kind] {
        match self {
            Which::Both => &[Kind::Tidegate, Kind::Haproxy],
            Which::Tidegate => &[Kind::Tidegate],
            Which::Haproxy => &[Kind::Haproxy],
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        print!("{}", table::list(EVENTS));
        return ExitCode::SUCCESS;
    }
    // Whichever comes first, the other is dropped, and what it started goes with it.
    let code = tokio::select! {
        result = run(arguments) => match result {
            Ok(true) => 0,
            Ok(false) => BROKEN_PROMISE,
            Err(why) => {
                eprintln!("chaos: {why}");
                NOT_RUN
            }
        },
        () = asked_to_leave() => {
            eprintln!("chaos: interrupted; its processes and containers are gone");
            ASKED_TO_LEAVE
        }
    };
    ExitCode::from(code)
}

/// Whether every promise was kept.
async fn run(arguments: Arguments) -> Result<bool, String> {
    let events = chosen(&arguments.only)?;
    let conditions = Conditions {
        // A relative path would be looked for in the folder of the phase.
        tidegate: std::path::absolute(&arguments.tidegate).map_err(|why| why.to_string())?,
        rate: arguments.rate,
        seconds: Duration::from_secs(arguments.seconds),
        port: arguments.port,
        over: arguments.over,
        logs: arguments.logs,
        long: arguments.long,
    };
    load::more_files().map_err(|why| format!("raising the limit of open files: {why}"))?;
    let kinds = match (arguments.edge, conditions.over) {
        (Which::Both, Over::H2) => Which::Tidegate.kinds(),
        (Which::Haproxy, Over::H2) => return Err("HAProxy is measured with h1 alone".to_owned()),
        (which, _) => which.kinds(),
    };
    // Missing things are better reported now than after four minutes.
    edge::image_present().await?;
    let mut peers = Vec::new();
    if kinds.contains(&Kind::Haproxy) {
        peers.push(Haproxy::version().await?);
    }
    let mut results = Results::new(&conditions, peers, arguments.rounds).await?;
    for round in 1..=arguments.rounds {
        for &kind in kinds {
            for event in events
                .iter()
                .filter(|event| event.applies_to(kind, conditions.over))
            {
                let row = phase::run(kind, event, round, &conditions)
                    .await
                    .map_err(|why| format!("{} {}: {why}", kind.as_str(), event.name))?;
                eprintln!("{}", row.sentence());
                results.rows.push(row);
            }
        }
    }
    for file in &arguments.update {
        results.update(file)?;
    }
    let form = match (arguments.json, arguments.markdown) {
        (true, _) => Form::Json,
        (_, true) => Form::Markdown,
        _ => Form::Text,
    };
    println!("{}", results.print(form));
    Ok(results.rows.iter().all(|row| row.kept != Some(false)))
}

fn chosen(names: &[String]) -> Result<Vec<&'static Event>, String> {
    if names.is_empty() {
        return Ok(EVENTS.iter().collect());
    }
    let find = |name: &String| {
        EVENTS
            .iter()
            .find(|event| event.name == name)
            .ok_or_else(|| format!("no event is called `{name}`; --list names all"))
    };
    names.iter().map(find).collect()
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (1.0..=10_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number from 1 to 10000".to_owned()),
    }
}

async fn asked_to_leave() {
    let asked = |kind| async move {
        match signal(kind) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = asked(SignalKind::interrupt()) => {}
        () = asked(SignalKind::terminate()) => {}
        () = asked(SignalKind::hangup()) => {}
    }
}
