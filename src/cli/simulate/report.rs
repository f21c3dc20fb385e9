//! The figures of a simulation, as a table, as JSON and as CSV.

use crate::cli::table::write_table;
use crate::simulate::trace::Trace;
use crate::simulate::{Model, Outcome};
use serde::Serialize;
use std::fmt::Write;

#[derive(Serialize)]
pub struct Report {
    pub model: ModelReport,
    pub traces: Vec<TraceReport>,
    /// The mean over the traces, when there are several.
    pub mean: Vec<Figures>,
}

#[derive(Serialize)]
pub struct ModelReport {
    pub slots: u32,
    pub service_time_seconds: f64,
    pub service_cv: f64,
    pub start_time_seconds: f64,
    pub start_cv: f64,
    pub crashes_after_seconds: f64,
    pub min: u32,
    pub max: u32,
    pub noise: f64,
    pub seed: u64,
}

#[derive(Serialize)]
pub struct TraceReport {
    pub trace: String,
    pub seconds: u64,
    /// Requests per second.
    pub mean_rate: f64,
    pub oracle_replica_seconds: f64,
    pub oracle_peak: u32,
    pub policies: Vec<PolicyReport>,
}

#[derive(Serialize)]
pub struct PolicyReport {
    #[serde(flatten)]
    pub figures: Figures,
    pub requests: u64,
    /// Requests that waited longer than half a second.
    pub late: u64,
    /// Requests that were sent away, or lost in a crash.
    pub lost: u64,
    pub replica_seconds: f64,
    #[serde(skip)]
    outcome: Outcome,
}

#[derive(Clone, Serialize)]
pub struct Figures {
    pub policy: String,
    /// The share of requests that were late or lost.
    pub violations: f64,
    /// Replica-seconds, as a multiple of the oracle's.
    pub cost: f64,
    pub starts_a_day: f64,
    /// Changes of direction within five minutes, per day.
    pub flips_a_day: f64,
    pub peak: u32,
    /// The longest time with fewer replicas ready than the load fills.
    pub short_for_seconds: u64,
}

impl PolicyReport {
    pub fn new(policy: String, outcome: Outcome, oracle: f64) -> PolicyReport {
        let days = outcome.seconds.len().max(1) as f64 / 86_400.0;
        PolicyReport {
            figures: Figures {
                policy,
                violations: outcome.violations(),
                cost: outcome.replica_seconds / oracle,
                starts_a_day: outcome.starts_a_day(),
                flips_a_day: outcome.flips as f64 / days,
                peak: outcome.peak,
                short_for_seconds: outcome.short_for,
            },
            requests: outcome.requests,
            late: outcome.late,
            lost: outcome.lost,
            replica_seconds: outcome.replica_seconds,
            outcome,
        }
    }
}

impl TraceReport {
    pub fn new(
        name: String,
        trace: &Trace,
        oracle: (f64, u32),
        policies: Vec<PolicyReport>,
    ) -> TraceReport {
        TraceReport {
            trace: name,
            seconds: trace.length().as_secs(),
            mean_rate: trace.mean_rate(),
            oracle_replica_seconds: oracle.0,
            oracle_peak: oracle.1,
            policies,
        }
    }
}

impl Report {
    pub fn new(model: &Model, traces: Vec<TraceReport>) -> Report {
        let mean = match traces.len() {
            0 | 1 => Vec::new(),
            _ => mean(&traces),
        };
        Report {
            model: ModelReport {
                slots: model.slots,
                service_time_seconds: model.service_time.as_secs_f64(),
                service_cv: model.service_cv,
                start_time_seconds: model.start_time.as_secs_f64(),
                start_cv: model.start_cv,
                crashes_after_seconds: model.crashes_after.as_secs_f64(),
                min: model.bounds.min,
                max: model.bounds.max,
                noise: model.noise,
                seed: model.seed,
            },
            traces,
            mean,
        }
    }

    pub fn table(&self) -> String {
        let mut out = String::new();
        for trace in &self.traces {
            let _ = writeln!(
                out,
                "{}  {:.1} h, {:.1} requests/s; the oracle needs {:.2} replicas, {} at most",
                trace.trace,
                trace.seconds as f64 / 3600.0,
                trace.mean_rate,
                trace.oracle_replica_seconds / trace.seconds.max(1) as f64,
                trace.oracle_peak,
            );
            let figures: Vec<&Figures> = trace.policies.iter().map(|it| &it.figures).collect();
            rows(&mut out, &figures);
            out.push('\n');
        }
        if !self.mean.is_empty() {
            let _ = writeln!(
                out,
                "mean of {} traces; the highest peak",
                self.traces.len()
            );
            rows(&mut out, &self.mean.iter().collect::<Vec<_>>());
            out.push('\n');
        }
        let _ = writeln!(
            out,
            "COST is replica-seconds, as a multiple of the oracle's. A request that waits 0.5 s or \
             is lost is a violation."
        );
        out
    }

    pub fn csv(&self) -> String {
        let mut out = "trace,policy,second,load,wanted,ready,waiting\n".to_owned();
        for trace in &self.traces {
            for policy in &trace.policies {
                let name = policy.figures.policy.replace('"', "\"\"");
                for (index, second) in policy.outcome.seconds.iter().enumerate() {
                    let _ = writeln!(
                        out,
                        "{},\"{name}\",{index},{:.3},{},{},{}",
                        trace.trace, second.load, second.wanted, second.ready, second.waiting
                    );
                }
            }
        }
        out
    }

    /// Each run with its title.
    pub fn panels(&self) -> Vec<(String, &Outcome)> {
        let of = |trace: &'_ TraceReport, policy: &PolicyReport| {
            format!("{}: {}", trace.trace, policy.figures.policy)
        };
        let traces = self.traces.iter();
        traces
            .flat_map(|trace| trace.policies.iter().map(move |policy| (trace, policy)))
            .map(|(trace, policy)| (of(trace, policy), &policy.outcome))
            .collect()
    }
}

fn mean(traces: &[TraceReport]) -> Vec<Figures> {
    let policies = traces.first().map_or(0, |trace| trace.policies.len());
    let each = |index: usize| {
        let of = traces.iter().filter_map(|trace| trace.policies.get(index));
        let figures: Vec<&Figures> = of.map(|policy| &policy.figures).collect();
        let mean = |value: fn(&Figures) -> f64| {
            figures.iter().map(|it| value(it)).sum::<f64>() / figures.len() as f64
        };
        Some(Figures {
            policy: figures.first()?.policy.clone(),
            violations: mean(|it| it.violations),
            cost: mean(|it| it.cost),
            starts_a_day: mean(|it| it.starts_a_day),
            flips_a_day: mean(|it| it.flips_a_day),
            peak: figures.iter().map(|it| it.peak).max()?,
            short_for_seconds: figures.iter().map(|it| it.short_for_seconds).max()?,
        })
    };
    (0..policies).filter_map(each).collect()
}

fn rows(out: &mut String, figures: &[&Figures]) {
    let head = [
        "POLICY",
        "VIOLATIONS",
        "COST",
        "STARTS A DAY",
        "FLIPS A DAY",
        "PEAK",
        "SHORT FOR",
    ];
    let mut table = vec![head.map(str::to_owned)];
    table.extend(figures.iter().map(|figures| {
        [
            figures.policy.clone(),
            format!("{:.3} %", figures.violations * 100.0),
            format!("{:.2}", figures.cost),
            format!("{:.0}", figures.starts_a_day),
            format!("{:.0}", figures.flips_a_day),
            figures.peak.to_string(),
            format!("{}s", figures.short_for_seconds),
        ]
    }));
    write_table(out, &table);
}
