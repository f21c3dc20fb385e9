//! Scaling policies under traffic, and the figures that must not slide.
//!
//! `make simulate` shows the same for weeks.

use crate::support::edge::tidegate;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tidegate::plugin::{Hooks, Scaler};
use tidegate::plugins;
use tidegate::service::store;
use tidegate::simulate::peers::{Hpa, Knative};
use tidegate::simulate::trace::Trace;
use tidegate::simulate::{Model, Outcome, Simulation};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn scaler(name: &str, yaml: &str) -> Arc<dyn Scaler> {
    let mut hooks = Hooks::new(store::store().1);
    let values = serde_yaml::from_str(yaml).expect(yaml);
    let installed = plugins::standard().install(name, values, &mut hooks);
    assert!(installed.is_ok(), "{name}: {installed:?}");
    hooks.finish().scaler.expect("a scaler")
}

fn concurrency() -> Arc<dyn Scaler> {
    scaler("concurrency", "target: 4")
}

fn trace(file: &str, from: Duration, take: Duration, mean_rate: f64) -> Trace {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/traces");
    let text = fs::read_to_string(path.join(file)).expect(file);
    let trace = Trace::parse(&text).expect(file);
    let part = trace.part(from, Some(take)).expect("within the trace");
    part.scaled_to(mean_rate)
}

/// The day of a launch, when a web server's traffic quadrupled within hours.
fn launch_day() -> Trace {
    let file = "nasa_1995-07-13_persecond.csv";
    trace(file, Duration::ZERO, 24 * HOUR, 64.0)
}

/// A day of a load balancer in front of something small.
fn balancer_day() -> Trace {
    let file = "nab_elb_request_count_5min.csv";
    trace(file, 24 * HOUR, 24 * HOUR, 32.0)
}

/// From 20 to 160 requests per second after five minutes.
fn step() -> Trace {
    let mut requests = vec![20.0; 300];
    requests.extend([160.0; 300]);
    Trace {
        start: Duration::ZERO,
        step: Duration::from_secs(1),
        requests,
    }
}

fn model(seed: u64) -> Model {
    Model {
        seed,
        ..Model::default()
    }
}

fn run(trace: &Trace, seed: u64, scaler: &dyn Scaler) -> (Outcome, f64) {
    let model = model(seed);
    let simulation = Simulation::new(trace, &model);
    let outcome = simulation.run(scaler, |_| ());
    let cost = outcome.replica_seconds / simulation.oracle().0;
    (outcome, cost)
}

#[test]
fn concurrency_keeps_its_figures_on_real_traffic() {
    for (name, trace) in [("launch", launch_day()), ("balancer", balancer_day())] {
        let (outcome, cost) = run(&trace, 1, concurrency().as_ref());
        let violations = outcome.violations();
        assert!(
            violations <= 0.0005,
            "{name}: {violations} waited or were lost"
        );
        assert!(cost <= 1.35, "{name}: {cost} times the oracle");
        let starts = outcome.starts_a_day();
        assert!(starts <= 500.0, "{name}: {starts} starts a day");
    }
}

#[test]
fn a_step_to_eight_times_the_load_is_met_a_second_after_a_start_takes() {
    let (mut after, mut peaks) = (Vec::new(), Vec::new());
    for seed in 1..=40 {
        let (outcome, _) = run(&step(), seed, concurrency().as_ref());
        // 160 requests/s x 0.25 s / 4 = 10.
        let enough = outcome
            .seconds
            .iter()
            .skip(300)
            .position(|it| it.ready >= 10);
        after.push(enough.map_or(u64::MAX, |index| index as u64 + 1));
        peaks.push(outcome.peak);
    }
    after.sort_unstable();
    peaks.sort_unstable();
    // Chance makes some starts slow, and some first seconds busier than the rest.
    assert!(after[27] <= 6 && after[39] <= 7, "{after:?} s");
    assert!(peaks[19] <= 25 && peaks[39] <= 30, "{peaks:?} replicas");
}

#[test]
fn the_others_pay_for_the_same_traffic_with_waiting_starts_or_replicas() {
    let trace = launch_day();
    let (ours, cost) = run(&trace, 1, concurrency().as_ref());
    let (hpa, _) = run(
        &trace,
        1,
        &Hpa {
            slots: 4,
            target: 0.7,
        },
    );
    assert!(
        hpa.violations() > 5.0 * ours.violations(),
        "{}",
        hpa.violations()
    );
    let (knative, _) = run(&trace, 1, &Knative::new(4));
    assert!(
        knative.starts > 2 * ours.starts,
        "{} starts",
        knative.starts
    );
    let (two_minutes, dear) = run(&trace, 1, scaler("requests", "{}").as_ref());
    assert!(dear > 10.0 * cost, "{dear} times the oracle");
    assert_eq!(
        two_minutes.requests, ours.requests,
        "the same world for each"
    );
}

#[test]
fn a_seed_makes_the_same_run_again_and_another_one_another() {
    let trace = trace("nab_elb_request_count_5min.csv", HOUR, HOUR / 2, 32.0);
    let figures = |seed| {
        let (outcome, cost) = run(&trace, seed, concurrency().as_ref());
        (
            outcome.requests,
            outcome.late,
            outcome.starts,
            cost.to_bits(),
        )
    };
    assert_eq!(figures(7), figures(7));
    assert_ne!(figures(7), figures(8));
}

#[test]
fn replicas_that_crash_are_replaced_and_their_requests_counted_as_lost() {
    let trace = Trace {
        start: Duration::ZERO,
        step: Duration::from_secs(1),
        requests: vec![40.0; 1_800],
    };
    let model = Model {
        crashes_after: Duration::from_secs(300),
        ..model(1)
    };
    let simulation = Simulation::new(&trace, &model);
    let outcome = simulation.run(concurrency().as_ref(), |_| ());
    assert!(
        outcome.lost > 0 && outcome.starts > 12,
        "{} starts",
        outcome.starts
    );
    // Short of a crash's start-up time, there are enough all the time.
    assert!(outcome.short_for < 10, "{} s", outcome.short_for);
    let last = outcome.seconds.last().expect("it ran");
    assert!(last.ready >= 3, "{last:?}");
}

// === the command ===

const STEP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/traces/step.csv");

#[tokio::test]
async fn simulate_prints_a_table_and_writes_a_plot_and_every_second() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (svg, csv) = (file("plot.svg"), file("runs.csv"));
    let ran = tidegate(&[
        "simulate",
        STEP,
        "--policy",
        "concurrency: { headroom: 1.2 }",
        "--policy",
        "knative",
        "--svg",
        &svg,
        "--csv",
        &csv,
    ])
    .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for part in [
        "step  0.2 h",
        "POLICY",
        "VIOLATIONS",
        "concurrency: { headroom",
        "knative",
    ] {
        assert!(ran.out.contains(part), "`{part}` is not in:\n{}", ran.out);
    }
    assert!(fs::read_to_string(&svg).unwrap().ends_with("</svg>\n"));
    let rows = fs::read_to_string(&csv).unwrap();
    assert!(rows.starts_with("trace,policy,second,load,wanted,ready,waiting\n"));
    assert_eq!(rows.lines().count(), 1 + 2 * 900);
}

#[tokio::test]
async fn simulate_takes_policy_and_bounds_of_a_service() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("edge.yaml");
    let yaml = "services: { web: { image: web, routes: [{ path: /web }], scale: { policy: concurrency, target: 4, max: 6 } }, \
                legacy: { addresses: [\"127.0.0.1:1\"] } }";
    fs::write(&file, yaml).unwrap();
    let file = file.to_str().unwrap();
    let of = async |service| {
        tidegate(&["simulate", STEP, "-c", file, "--json", "--service", service]).await
    };
    let report = of("web").await.json();
    let first = &report["traces"][0]["policies"][0];
    assert_eq!(first["policy"], "web (concurrency)");
    assert_eq!(first["peak"], 6);
    for (service, problem) in [
        ("nope", "has no service `nope`"),
        ("legacy", "fixed addresses"),
    ] {
        let ran = of(service).await;
        assert_eq!(ran.code, Some(64));
        assert!(ran.err.contains(problem), "{ran:?}");
    }
}

#[tokio::test]
async fn simulate_takes_an_access_log_for_the_traffic_of_a_service_also_of_one_that_sleeps() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: String| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let yaml = file(
        "edge.yaml",
        "services: { web: { image: web, scale: { policy: concurrency, target: 2, min: 0, max: 8, idle_timeout: 5m } } }"
            .to_owned(),
    );
    // 40 a second, each 200 ms: 8 at work.
    let line = |at: u32| {
        format!(
            "{{\"time\":\"2026-11-29T10:{:02}:{:02}Z\",\"service\":\"web\",\"duration_ms\":200.0}}\n",
            at / 2400,
            at / 40 % 60
        )
    };
    let log = file("access.log", (0..40 * 120).map(line).collect());
    let arguments = ["simulate", &log, "-c", &yaml, "--service", "web", "--json"];
    let report = tidegate(&arguments).await.json();
    let trace = &report["traces"][0];
    assert_eq!(
        (&trace["trace"], &trace["seconds"]),
        (&"access".into(), &120.into())
    );
    assert_eq!(trace["mean_rate"], 40.0);
    let own = &trace["policies"][0];
    let peak = own["peak"].as_u64().unwrap();
    assert!((4..=8).contains(&peak), "{own}");
}

#[tokio::test]
async fn simulate_refuses_what_it_cannot_read() {
    let folder = tempfile::TempDir::new().unwrap();
    let bad = folder.path().join("bad.csv");
    fs::write(&bad, "# step=1s\nrequests\n1\nmany\n").unwrap();
    let bad = bad.to_str().unwrap();
    for (arguments, problem) in [
        (&["simulate", bad][..], "bad.csv:4: \"many\" is not a count"),
        (&["simulate", "/nowhere.csv"], "cannot read /nowhere.csv"),
        (&["simulate", STEP, "--from", "1h"], "is over after 15m"),
        (
            &["simulate", STEP, "--policy", "magic"],
            "no such scaling policy",
        ),
        (
            &["simulate", STEP, "--policy", "hpa: { target: 1 }"],
            "has no keys",
        ),
        (
            &["simulate", STEP, "--policy", "concurrency: { targt: 1 }"],
            "targt",
        ),
        (
            &["simulate", STEP, "--min", "9", "--max", "3"],
            "--min must be",
        ),
        (&["simulate", STEP, "--noise", "99"], "--noise must be"),
    ] {
        let ran = tidegate(arguments).await;
        assert_eq!(ran.code, Some(64), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(problem), "{arguments:?}: {}", ran.err);
    }
}
