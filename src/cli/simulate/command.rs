//! The command: reads traffic, plays policies, and writes the results.

use super::policies;
use super::report::{PolicyReport, Report, TraceReport};
use crate::cli::arguments::{ConfigFile, OutputForm};
use crate::cli::output::{BAD_CONFIGURATION, FAILED, fail, print, print_json, refuse};
use crate::cli::progress::ProgressLine;
use crate::config::{self, Env, Flags, Overrides};
use crate::plugin::Registry;
use crate::service::spec::Bounds;
use crate::service::store;
use crate::simulate::trace::Trace;
use crate::simulate::{Model, Policy, Simulation, access_log, plot};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Args)]
pub struct Simulate {
    /// Traffic: an access log of Tidegate in JSON; or `#` lines, one of them with `step=60s`, then
    /// a count of requests on each line
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
    /// Add the policy of this service of the configuration, with its bounds and its requests in
    /// access logs; it comes first in the table. A service that sleeps is simulated with a replica
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// A policy, as in `concurrency` or `concurrency: {headroom: 1.2}`; repeatable
    /// [default: concurrency, requests, knative and hpa]
    #[arg(long = "policy", value_name = "POLICY")]
    policies: Vec<String>,
    /// Seed of the random replicas and requests
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Scale the traffic to this many requests per second on average [default: unchanged]
    #[arg(long, value_name = "N")]
    mean_rate: Option<f64>,
    /// Skip this much of the trace, as in 2h
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    from: Option<Duration>,
    /// Play this much of the trace, as in 1d
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    take: Option<Duration>,
    /// Requests that a replica works on at once
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    slots: u32,
    /// The mean duration of a request [default: that of the access log, or 250ms]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    service_time: Option<Duration>,
    /// Variation of that time: standard deviation divided by mean
    #[arg(long, value_name = "CV", default_value_t = 1.0)]
    service_cv: f64,
    /// The mean time from starting a replica until it is ready
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    start_time: Duration,
    /// Variation of that time
    #[arg(long, value_name = "CV", default_value_t = 0.2)]
    start_cv: f64,
    /// The mean time until a replica crashes, as in 1h [default: never]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    crashes_after: Option<Duration>,
    /// Variation of the rate from second to second, beyond Poisson arrivals
    #[arg(long, value_name = "CV", default_value_t = 0.1)]
    noise: f64,
    /// The fewest replicas [default: 1, or the service's]
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// The most replicas [default: 100, or the service's]
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// Write each second of each run to this file, as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw load, wanted and ready replicas into this file, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    output: OutputForm,
}

impl Simulate {
    pub fn run(self, registry: &Registry) -> ExitCode {
        match self.simulate(registry) {
            Ok(code) | Err(code) => code,
        }
    }

    fn simulate(&self, registry: &Registry) -> Result<ExitCode, ExitCode> {
        let (own, bounds) = self.service(registry)?;
        let traffic = self.traces.iter().map(|path| self.traffic(path));
        let traffic: Vec<Traffic> = traffic.collect::<Result<_, _>>()?;
        let model = self.model(bounds, &traffic)?;
        let policies = policies::all(own, &self.policies, &model, registry)
            .map_err(|why| fail(BAD_CONFIGURATION, why))?;
        let mut progress = ProgressLine::new(self.output.json);
        let mut reports = Vec::new();
        for Traffic { name, trace, .. } in &traffic {
            reports.push(simulated(name, trace, &model, &policies, &mut progress));
        }
        progress.end();
        let report = Report::new(&model, reports);
        if let Some(path) = &self.csv {
            write(path, &report.csv())?;
        }
        if let Some(path) = &self.svg {
            write(path, &plot::svg(&report.panels()))?;
        }
        Ok(match self.output.json {
            true => print_json(&report),
            false => print(report.table()),
        })
    }

    /// The policy and the bounds of the service that was named.
    fn service(&self, registry: &Registry) -> Result<(Option<Policy>, Option<Bounds>), ExitCode> {
        let Some(name) = &self.service else {
            return Ok((None, None));
        };
        let text = self.file.find()?;
        let (_writer, reader) = store::store();
        let overrides = Overrides::new(Flags::default(), Env::process());
        let config = config::load(&text, &overrides, registry, reader, None)
            .map_err(|problems| refuse(&problems))?;
        let mut services = config.services.iter();
        let Some(service) = services.find(|service| service.spec.name.as_str() == name) else {
            let there = config.services.iter();
            let there = there.map(|service| format!("`{}`", service.spec.name));
            let there = there.collect::<Vec<_>>().join(", ");
            let message = format!("the configuration has no service `{name}`; it has {there}");
            return Err(fail(BAD_CONFIGURATION, message));
        };
        let Some(scaler) = &service.scaler else {
            let message = format!("`{name}` has fixed addresses: nothing scales it");
            return Err(fail(BAD_CONFIGURATION, message));
        };
        let policies = service.scaler_plugins.iter();
        let policies: Vec<&str> = policies.map(|plugged| plugged.name.as_str()).collect();
        let policy = Policy {
            name: format!("{name} ({})", policies.join(" + ")),
            scaler: scaler.clone(),
        };
        Ok((Some(policy), Some(service.spec.bounds)))
    }

    fn model(&self, bounds: Option<Bounds>, traffic: &[Traffic]) -> Result<Model, ExitCode> {
        let default = Model::default();
        let bounds = bounds.unwrap_or(default.bounds);
        let bounds = Bounds {
            min: self.min.unwrap_or(bounds.min.max(1)),
            max: self.max.unwrap_or(bounds.max),
        };
        let wrong = |message: &str| Err(fail(BAD_CONFIGURATION, message));
        if bounds.min < 1 || bounds.min > bounds.max || bounds.max > MAX_REPLICAS {
            return wrong("--min must be from 1 to --max, and --max at most 1000");
        }
        for (flag, cv) in [
            ("--service-cv", self.service_cv),
            ("--start-cv", self.start_cv),
            ("--noise", self.noise),
        ] {
            if !(0.0..=10.0).contains(&cv) {
                return wrong(&format!("{flag} must be from 0 to 10"));
            }
        }
        let seen = traffic.iter().find_map(|traffic| traffic.took);
        let service_time = self.service_time.or(seen).unwrap_or(default.service_time);
        if service_time.is_zero() || self.start_time.is_zero() {
            return wrong("--service-time and --start-time must be more than 0");
        }
        let fits = |rate: f64| rate > 0.0 && rate <= RATE_MAX;
        if self.mean_rate.is_some_and(|rate| !fits(rate)) {
            return wrong("--mean-rate must be more than 0 and at most 1000000");
        }
        Ok(Model {
            slots: self.slots,
            service_time,
            service_cv: self.service_cv,
            start_time: self.start_time,
            start_cv: self.start_cv,
            crashes_after: self.crashes_after.unwrap_or_default(),
            bounds,
            noise: self.noise,
            seed: self.seed,
            ..default
        })
    }

    fn traffic(&self, path: &Path) -> Result<Traffic, ExitCode> {
        let shown = path.display();
        let text = fs::read_to_string(path)
            .map_err(|why| fail(BAD_CONFIGURATION, format!("cannot read {shown}: {why}")))?;
        let read = match access_log::is_one(&text) {
            true => access_log::count(&text, self.service.as_deref())
                .map(|counted| (counted.trace, Some(counted.took))),
            false => Trace::parse(&text).map(|trace| (trace, None)),
        };
        let (trace, took) =
            read.map_err(|error| fail(BAD_CONFIGURATION, format!("{shown}:{error}")))?;
        let part = trace.part(self.from.unwrap_or_default(), self.take);
        let part = part.ok_or_else(|| {
            let length = humantime::format_duration(trace.length());
            let message = format!("{shown} is over after {length}; choose a smaller --from");
            fail(BAD_CONFIGURATION, message)
        })?;
        let trace = match self.mean_rate {
            Some(rate) => part.scaled_to(rate),
            None => part,
        };
        let name = path.file_stem().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        Ok(Traffic { name, trace, took })
    }
}

struct Traffic {
    name: String,
    trace: Trace,
    /// Mean time of a request, if known.
    took: Option<Duration>,
}

/// Limit of replicas, because the planner looks at each.
const MAX_REPLICAS: u32 = 1000;

/// Requests per second.
const RATE_MAX: f64 = 1_000_000.0;

fn simulated(
    name: &str,
    trace: &Trace,
    model: &Model,
    policies: &[Policy],
    progress: &mut ProgressLine,
) -> TraceReport {
    let simulation = Simulation::new(trace, model);
    progress.show(&format!("{name}: oracle"), &(name, "oracle"));
    let oracle = simulation.oracle();
    let seconds = simulation.seconds().max(1);
    let outcomes = policies.iter().map(|policy| {
        let mut shown = 0;
        let outcome = simulation.run(policy.scaler.as_ref(), |second| {
            let percent = second * 100 / seconds;
            if percent > shown || second == 1 {
                shown = percent;
                let bar = "#".repeat(percent as usize / 5);
                let line = format!("{name}: [{bar:<20}] {percent} % {}", policy.name);
                progress.show(&line, &(name, &policy.name));
            }
        });
        PolicyReport::new(policy.name.clone(), outcome, oracle.0)
    });
    let policies = outcomes.collect();
    TraceReport::new(name.to_owned(), trace, oracle, policies)
}

fn write(path: &Path, text: &str) -> Result<(), ExitCode> {
    let wrong = |why| fail(FAILED, format!("cannot write {}: {why}", path.display()));
    fs::write(path, text).map_err(wrong)
}
