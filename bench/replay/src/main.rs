//! Replays a trace's sharpest minutes, and a step, on real containers, and measures what
//! `tidegate simulate` imagines; and how long who sleeps takes to wake.
//!
//! Arrivals and service times are those of the simulation, drawn from the same seed; so is the
//! oracle. Requests sleep in their replica, so it is not the machine that limits them.
//! `bench/README.md` is the method.

#![forbid(unsafe_code)]

mod client;
mod edge;
mod figures;
mod waking;

use clap::Parser;
use edge::Edge;
use figures::{Figures, figures, step};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tidegate::simulate::arrivals::Arrivals;
use tidegate::simulate::trace::Trace;
use tidegate::simulate::{Model, Simulation};
use tokio::time::{Instant, sleep};

/// Beyond what `policy: concurrency` says by default: what a replica is known to work on at once,
/// as in the simulation.
const CONCURRENCY: &str = "{ policy: concurrency, target: 4, min: 1, max: 40 }";

/// The step: requests per second before and after, and how long each.
const STEP: [(f64, u64); 2] = [(20.0, 45), (160.0, 45)];
/// More than a start may take, beyond its own time, until the first replica is ready.
const FIRST_READY_WITHIN: f64 = 1.0;
/// Between two runs, for connections to close.
const PAUSE: Duration = Duration::from_secs(2);

/// A figure was missed, or a request failed.
const MISSED: u8 = 1;
/// Nothing could be measured.
const NOT_RUN: u8 = 2;

/// Replays a trace's sharpest minutes on real containers.
///
/// Exits with 1 when a request failed, the first replica after a step came late, or a service
/// that slept took too long to wake.
#[derive(Parser)]
#[command(name = "replay")]
struct Arguments {
    /// The program under test
    #[arg(default_value = "target/release/tidegate")]
    tidegate: PathBuf,
    #[arg(long, default_value = "bench/traces/nasa_1995-07-13_persecond.csv")]
    trace: PathBuf,
    /// How many minutes of it
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=60))]
    minutes: u64,
    /// Two minutes of it
    #[arg(long, conflicts_with = "minutes")]
    quick: bool,
    /// Requests per second, on average over these minutes
    #[arg(long, default_value_t = 48.0)]
    mean_rate: f64,
    /// The `scale` of a service, as in `{ policy: rps, target: 16, max: 40 }`; may be repeated
    #[arg(long = "scale", value_name = "YAML", default_value = CONCURRENCY)]
    scales: Vec<String>,
    /// Nothing but how long who sleeps takes to wake
    #[arg(long)]
    only_waking: bool,
    /// Time that a replica takes to listen once its container runs, in milliseconds
    #[arg(long, default_value_t = 3000)]
    start_ms: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The first of the ports on 127.0.0.1 that it uses
    #[arg(long, default_value_t = 29000, value_parser = clap::value_parser!(u16).range(1..65000))]
    port: u16,
    #[arg(long)]
    json: bool,
    /// Write the tables into this file, between their marks
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "only_waking"])]
    update: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let code = tokio::select! {
        result = run(&arguments) => match result {
            Ok(true) => 0,
            Ok(false) => MISSED,
            Err(why) => {
                eprintln!("replay: {why}");
                NOT_RUN
            }
        },
        _ = tokio::signal::ctrl_c() => {
            eprintln!("replay: interrupted; its processes and containers are gone");
            130
        }
    };
    ExitCode::from(code)
}

/// Traffic that is replayed under one name.
struct Phase {
    name: String,
    trace: Trace,
    /// When the step comes, and the replicas that it takes.
    step: Option<(Duration, u32)>,
}

async fn run(arguments: &Arguments) -> Result<bool, String> {
    let program = std::path::absolute(&arguments.tidegate).map_err(|why| why.to_string())?;
    let model = Model {
        seed: arguments.seed,
        start_time: Duration::from_millis(arguments.start_ms),
        ..Model::default()
    };
    let minutes = if arguments.quick {
        1
    } else {
        arguments.minutes
    };
    let phases = [
        sharpest(&arguments.trace, minutes, arguments.mean_rate)?,
        stepped(&model),
    ];
    let mut rows: Vec<(String, Figures)> = Vec::new();
    for phase in phases.iter().filter(|_| !arguments.only_waking) {
        let simulation = Simulation::new(&phase.trace, &model);
        let (oracle, peak) = simulation.oracle();
        eprintln!(
            "{}: {} s, {:.1} requests/s; the oracle needs {:.2} replicas, {peak} at most",
            phase.name,
            simulation.seconds(),
            phase.trace.mean_rate(),
            oracle / simulation.seconds() as f64,
        );
        for scale in &arguments.scales {
            let measured = measured(&program, arguments, phase, scale, &model, oracle);
            let measured = measured
                .await
                .map_err(|why| format!("{}: {why}", phase.name))?;
            rows.push((phase.name.clone(), measured));
            sleep(PAUSE).await;
        }
    }
    let wakings = waking::measured(&program, arguments.port, arguments.start_ms);
    let wakings = wakings.await.map_err(|why| format!("waking: {why}"))?;
    let tables = match rows.is_empty() {
        true => waking::table(&wakings),
        false => format!("{}\n{}", table(&rows), waking::table(&wakings)),
    };
    match &arguments.update {
        Some(file) => {
            let text = format!("```text\n{}\n```", tables.trim_end());
            kit::marks::update(file, "replay", &text)?;
        }
        None if arguments.json => println!("{}", json(&rows, &wakings)),
        None => print!("{tables}"),
    }
    let is_awake = wakings.iter().all(|it| it.kept);
    Ok(is_awake && rows.iter().all(|(_, figures)| is_kept(figures)))
}

async fn measured(
    program: &Path,
    arguments: &Arguments,
    phase: &Phase,
    scale: &str,
    model: &Model,
    oracle: f64,
) -> Result<Figures, String> {
    let edge = Edge::start(program, arguments.port, scale, arguments.start_ms).await?;
    let before = edge.starts().await.unwrap_or_default();
    let rates = phase.trace.rates();
    let requests: Vec<_> = Arrivals::new(&rates, model).collect();
    let began = Instant::now();
    let mut seen = Vec::new();
    let sent = tokio::select! {
        sent = client::send(edge.address, requests, began) => sent,
        () = edge.watch(began, &mut seen) => return Err("the watch of the edge ended".to_owned()),
    };
    let after = edge.starts().await.unwrap_or_default();
    let starts = (after.0 - before.0, after.1 - before.1);
    for failed in sent.answers.iter().filter(|it| it.failed.is_some()).take(5) {
        let why = failed.failed.as_deref().unwrap_or_default();
        eprintln!("  failed at {:.1} s: {why}", failed.due.as_secs_f64());
    }
    let mut figures = figures(scale, &sent, &seen, starts, oracle);
    figures.step = phase.step.map(|(at, need)| step(&seen, at, need));
    edge.leave().await?;
    Ok(figures)
}

/// The minutes in which the rate of the trace rises most from one half minute to the next.
fn sharpest(path: &Path, minutes: u64, mean_rate: f64) -> Result<Phase, String> {
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|why| format!("{}: {why}", path.display()))?;
    let trace = Trace::parse(&text).map_err(|why| format!("{}:{why}", path.display()))?;
    let length = Duration::from_secs(minutes * 60);
    // Minutes of a whole trace at this scale: counts of few requests are mostly chance.
    let coarse = trace.scaled_to(trace.mean_rate() * 1.000_001);
    let step = coarse.step.as_secs_f64();
    let counts = &coarse.requests;
    let steps = (length.as_secs_f64() / step).ceil().max(2.0) as usize;
    if counts.len() < steps {
        return Err(format!(
            "{}: shorter than {minutes} minutes",
            path.display()
        ));
    }
    let rise = |begin: &usize| {
        let within = &counts[*begin..*begin + steps];
        let mean = within.iter().sum::<f64>() / steps as f64;
        let rises = within.windows(2).map(|pair| pair[1] - pair[0]);
        // Of two with the same rise, the one that is calmer otherwise.
        rises.fold(0.0, f64::max) / mean.max(1.0)
    };
    let busiest = counts.iter().copied().fold(0.0, f64::max);
    let busy = |begin: &usize| counts[*begin..*begin + steps].iter().sum::<f64>() / steps as f64;
    let candidates = (0..=counts.len() - steps).filter(|begin| busy(begin) > busiest / 4.0);
    let begin = candidates
        .max_by(|one, other| rise(one).total_cmp(&rise(other)))
        .ok_or("the trace is empty")?;
    let from = Duration::from_secs_f64(begin as f64 * step);
    let part = coarse.part(from, Some(length.max(coarse.step * 2)));
    let name = path
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned());
    Ok(Phase {
        name: format!("{} from {} s", name.unwrap_or_default(), from.as_secs()),
        trace: part.ok_or("the trace is empty")?.scaled_to(mean_rate),
        step: None,
    })
}

fn stepped(model: &Model) -> Phase {
    let [(low, before), (high, after)] = STEP;
    let mut requests = vec![low; before as usize];
    requests.extend(vec![high; after as usize]);
    let need = high * model.service_time.as_secs_f64() / f64::from(model.slots);
    Phase {
        name: format!("step from {low} to {high} requests/s"),
        trace: Trace {
            start: Duration::ZERO,
            step: Duration::from_secs(1),
            requests,
        },
        step: Some((Duration::from_secs(before), need.ceil() as u32)),
    }
}

fn is_kept(figures: &Figures) -> bool {
    let in_time = figures.step.as_ref().is_none_or(|step| {
        let limit = figures.start_seconds + FIRST_READY_WITHIN;
        step.first_ready_seconds.is_some_and(|after| after <= limit)
    });
    figures.failed == 0 && in_time
}

fn json(rows: &[(String, Figures)], wakings: &[waking::Waking]) -> String {
    let rows = rows.iter().map(|(phase, figures)| {
        let mut row = serde_json::json!(figures);
        row["phase"] = serde_json::json!(phase);
        row["kept"] = serde_json::json!(is_kept(figures));
        row
    });
    let wakings = wakings.iter().map(|waking| serde_json::json!(waking));
    let rows: Vec<serde_json::Value> = rows.chain(wakings).collect();
    serde_json::to_string_pretty(&rows).unwrap_or_default()
}

fn table(rows: &[(String, Figures)]) -> String {
    let head = [
        "VIOLATIONS",
        "FAILED",
        "COST",
        "STARTS",
        "PEAK",
        "WAIT P50",
        "WAIT P99",
        "A START",
        "FIRST READY",
        "ENOUGH READY",
        "KEPT",
    ];
    let cells = |figures: &Figures| -> Vec<String> {
        let after = |seconds: Option<Option<f64>>| match seconds {
            None => "-".to_owned(),
            Some(None) => "never".to_owned(),
            Some(Some(seconds)) => format!("{seconds:.1} s"),
        };
        let step = figures.step.as_ref();
        vec![
            format!("{:.3} %", figures.violations * 100.0),
            format!("{} of {}", figures.failed, figures.requests),
            format!("{:.2}", figures.cost),
            format!("{}", figures.starts),
            figures.peak.to_string(),
            format!("{:.0} ms", figures.wait_p50_ms),
            format!("{:.0} ms", figures.wait_p99_ms),
            format!("{:.1} s", figures.start_seconds),
            after(step.map(|step| step.first_ready_seconds)),
            after(step.map(|step| step.enough_ready_seconds)),
            if is_kept(figures) { "yes" } else { "NO" }.to_owned(),
        ]
    };
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|(_, figures)| cells(figures)));
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some((phase, figures)) = index.checked_sub(1).and_then(|index| rows.get(index)) {
            out += &format!("{phase}: {}\n", figures.policy);
        }
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        out += format!("  {}", padded.collect::<Vec<_>>().join("  ")).trim_end();
        out += "\n";
    }
    let late = rows
        .iter()
        .map(|(_, figures)| figures.late_max_ms)
        .fold(0.0, f64::max);
    out += &format!(
        "\nCOST is replica-seconds, as a multiple of the oracle's. A request that waits 0.5 s \
         beyond its own time, or fails, is a violation. The client was late by {late:.0} ms at \
         most.\n"
    );
    out
}
