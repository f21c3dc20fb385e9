//! `tidegate status`: services and replicas, with the reasons of their state.

use super::arguments::Running;
use super::certs;
use super::output::{FAILED, fail, print, print_json};
use super::table::{coarse, latency, lines};
use crate::admin::view::{LastError, Overview, ReplicaJson, RolloutJson, ServiceJson};
use crate::service::replica::ReplicaId;
use clap::Args;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Width of a terminal, by default.
const WIDTH: usize = 80;
/// Age of errors that the table shows; the API shows older ones, too.
const RECENT: Duration = Duration::from_secs(60 * 60);
/// Indent of a reason that does not fit behind its replica.
const WHY_INDENT: &str = "          ";
/// Lines of a failed replica, as many as events have; `logs` shows more.
const LAST_WORDS: usize = 3;

#[derive(Args)]
pub struct Status {
    /// Only this service
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    #[command(flatten)]
    running: Running,
}

impl Status {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        let overview = client.get::<Overview>("/api/v1/services");
        let overview = match overview.map(|overview| self.chosen(overview)) {
            Ok(Ok(overview)) => Ok(overview),
            Ok(Err(why)) => return fail(FAILED, why),
            Err(error) => Err(error),
        };
        match overview {
            Ok(overview) if self.running.output.json => print_json(&overview),
            Ok(overview) => {
                // A process of an older version has none.
                let certificates = client.get(certs::PATH).unwrap_or_default();
                print(table(&overview) + &certs::summary(&certificates))
            }
            Err(error) => fail(FAILED, error),
        }
    }
}

impl Status {
    /// The overview of the service that was asked for.
    fn chosen(&self, mut overview: Overview) -> Result<Overview, String> {
        let Some(wanted) = &self.service else {
            return Ok(overview);
        };
        let names = overview.services.iter().map(|it| it.name.to_string());
        let names: Vec<String> = names.collect();
        overview
            .services
            .retain(|it| it.name.as_str() == wanted.as_str());
        match overview.services.is_empty() {
            true => Err(format!(
                "there is no service `{wanted}`; there are: {}",
                names.join(", ")
            )),
            false => Ok(overview),
        }
    }
}

fn table(overview: &Overview) -> String {
    let mut out = String::new();
    if !overview.engine_up {
        out.push_str("the container engine does not answer; this is the last known state\n\n");
    }
    for (index, service) in overview.services.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        write_service(&mut out, service);
    }
    if overview.services.is_empty() {
        out.push_str("no services\n");
    }
    out
}

/// Describes a rollout.
fn change(rollout: &RolloutJson) -> String {
    let RolloutJson {
        stage,
        from,
        to,
        others,
        why,
        ..
    } = rollout;
    let mut text = match stage.as_str() {
        "rolled back" => format!("{to} was rolled back to {from}"),
        "rolling back" => format!("rolling back from {to} to {from}"),
        "paused" => format!("the change to {to} is paused"),
        _ => format!("{stage}, to {to}"),
    };
    if *others > 0 {
        let _ = write!(text, ", {others} to be replaced");
    }
    if let Some(why) = why {
        let _ = write!(text, ": {why}");
    }
    text
}

fn write_service(out: &mut String, service: &ServiceJson) {
    let _ = writeln!(out, "{}  {}", service.name, summary(service));
    let _ = writeln!(out, "  {}", identity(service));
    if let Some(rollout) = service.rollout.as_ref().filter(|it| it.stage != "done") {
        let _ = writeln!(out, "  {}", change(rollout));
    }
    for reason in &service.because {
        let _ = writeln!(out, "  {reason}");
    }
    if let Some((ago, error)) = service.last_error.as_ref().and_then(recent) {
        let at = ReplicaId::new(&error.replica);
        let at = at.on(error.slot);
        let _ = writeln!(out, "  a request failed {ago} ago at {at}: {}", error.why);
    }
    write_last_words(out, service);
    if service.replicas.is_empty() {
        return;
    }
    let head = [
        "SLOT",
        "ID",
        "STATE",
        "AGE",
        "IN FLIGHT",
        "REQ/S",
        "RESTARTS",
    ];
    let mut table = vec![head.map(str::to_owned)];
    table.extend(service.replicas.iter().map(row));
    let mut lines = lines(&table).into_iter();
    let _ = writeln!(out, "{}", lines.next().unwrap_or_default());
    for (line, replica) in lines.zip(&service.replicas) {
        let _ = match why(replica) {
            None => writeln!(out, "{line}"),
            Some(why) if line.len() + 2 + why.len() <= WIDTH => writeln!(out, "{line}  {why}"),
            Some(why) => writeln!(out, "{line}\n{WHY_INDENT}{why}"),
        };
    }
}

/// Writes the last logs of a replica that failed and is gone, or of the first that failed in a rollout.
fn write_last_words(out: &mut String, service: &ServiceJson) {
    let rollout = service.rollout.as_ref().filter(|it| it.stage != "done");
    let failures = rollout.into_iter().flat_map(|it| &it.failures);
    let mut failures = failures.filter(|failure| !failure.last_words.is_empty());
    let of_rollout = failures.next().map(|it| (it.slot, &it.last_words));
    let now = service.last_words.as_ref();
    let Some((slot, lines)) = now.map(|it| (it.slot, &it.lines)).or(of_rollout) else {
        return;
    };
    let _ = writeln!(out, "  the one on {slot} wrote last:");
    for line in &lines[lines.len().saturating_sub(LAST_WORDS)..] {
        let _ = writeln!(out, "    {line}");
    }
}

/// Image and routes of a service.
fn identity(service: &ServiceJson) -> String {
    let mut text = String::new();
    if let Some(image) = &service.image {
        let _ = write!(text, "runs {image}");
    }
    if let Some(configured) = &service.configured_image {
        let _ = write!(text, ", where the configuration says {configured}");
    }
    let serves = match service.routes.as_slice() {
        [] => "whatever no other service claims".to_owned(),
        routes => routes.join(", "),
    };
    let and = if text.is_empty() { "" } else { "; " };
    format!("{text}{and}serves {serves}")
}

fn summary(service: &ServiceJson) -> String {
    let mut parts = vec![
        format!("{} of {} ready", service.ready, service.desired),
        format!("{:.1} req/s", service.requests_per_second),
    ];
    let percentiles = [("p50", service.p50_seconds), ("p99", service.p99_seconds)];
    for (name, seconds) in percentiles {
        parts.extend(seconds.map(|seconds| format!("{name} {}", latency(seconds))));
    }
    let errors = service.error_rate.filter(|rate| *rate > 0.0);
    parts.extend(errors.map(|rate| format!("{:.1}% errors", rate * 100.0)));
    for (count, what) in [(service.in_flight, "in flight"), (service.held, "held")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join("  ")
}

fn row(replica: &ReplicaJson) -> [String; 7] {
    [
        replica.slot.to_string(),
        ReplicaId::new(&replica.id).short().to_owned(),
        replica.state.clone(),
        coarse(replica.age_seconds.unwrap_or(replica.since_seconds)),
        replica.in_flight.to_string(),
        format!("{:.1}", replica.requests_per_second),
        replica.restarts.to_string(),
    ]
}

/// Reason of a replica's state, or the failure of the one before it.
fn why(replica: &ReplicaJson) -> Option<String> {
    let before = || {
        let failure = replica.last_failure.as_ref()?;
        let at = humantime::parse_rfc3339(&failure.time).ok()?;
        let ago = coarse(at.elapsed().unwrap_or_default().as_secs_f64());
        Some(format!("{ago} ago, the one before: {}", failure.why))
    };
    let failed = || {
        let (ago, error) = recent(replica.last_error.as_ref()?)?;
        Some(format!("{ago} ago, a request failed: {}", error.why))
    };
    replica.because.clone().or_else(before).or_else(failed)
}

/// A recent error, and its age.
fn recent(error: &LastError) -> Option<(String, &LastError)> {
    let ago = humantime::parse_rfc3339(&error.time).ok()?.elapsed();
    let ago = ago.unwrap_or_default();
    (ago < RECENT).then(|| (coarse(ago.as_secs_f64()), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::LastFailure;
    use std::time::SystemTime;

    #[test]
    fn the_table_shows_each_replica_with_its_reason() {
        let replica = |slot, state: &str, because: Option<&str>| ReplicaJson {
            slot,
            id: "0123456789abcdef".to_owned(),
            state: state.to_owned(),
            since_seconds: 2.0,
            age_seconds: Some(75.2),
            in_flight: 2,
            requests_per_second: 40.25,
            because: because.map(str::to_owned),
            ..ReplicaJson::default()
        };
        let failed = SystemTime::now() - Duration::from_secs(185);
        let overview = Overview {
            engine_up: true,
            services: vec![ServiceJson {
                name: "acts".to_owned(),
                desired: 3,
                ready: 2,
                requests_per_second: 80.5,
                p50_seconds: Some(0.0123),
                p99_seconds: Some(1.25),
                error_rate: Some(0.015),
                in_flight: 4,
                held: 1,
                because: vec!["3 replicas are wanted".to_owned()],
                image: Some("acts:2 (5f2c1d0e9ab3)".to_owned()),
                configured_image: Some("acts:1".to_owned()),
                routes: vec!["*/api/v1".to_owned(), "*/app".to_owned()],
                last_error: Some(LastError {
                    time: humantime::format_rfc3339_millis(failed).to_string(),
                    slot: 0,
                    replica: "10.0.0.7:80".to_owned(),
                    why: "the connection was refused".to_owned(),
                }),
                replicas: vec![
                    replica(8000, "ready", None),
                    ReplicaJson {
                        restarts: 1,
                        last_failure: Some(LastFailure {
                            time: humantime::format_rfc3339_millis(failed).to_string(),
                            why: "exited with code 137".to_owned(),
                        }),
                        ..replica(8001, "ready", None)
                    },
                    replica(8002, "sick", Some("paused")),
                ],
                ..ServiceJson::default()
            }],
        };
        let expected = "\
acts  2 of 3 ready  80.5 req/s  p50 12ms  p99 1.2s  1.5% errors  4 in flight  1 held
  runs acts:2 (5f2c1d0e9ab3), where the configuration says acts:1; serves */api/v1, */app
  3 replicas are wanted
  a request failed 3m ago at 10.0.0.7:80: the connection was refused
  SLOT  ID            STATE  AGE  IN FLIGHT  REQ/S  RESTARTS
  8000  0123456789ab  ready  75s  2          40.2   0
  8001  0123456789ab  ready  75s  2          40.2   1
          3m ago, the one before: exited with code 137
  8002  0123456789ab  sick   75s  2          40.2   0  paused
";
        assert_eq!(table(&overview), expected);
    }

    #[test]
    fn times_are_as_exact_as_anybody_wants_them() {
        let shown = [0.0004, 0.0042, 0.042, 0.42, 42.0].map(latency);
        assert_eq!(shown, ["0.40ms", "4.2ms", "42ms", "420ms", "42.0s"]);
        let shown = [42.9, 119.0, 7_100.0, 100_000.0, 1e6].map(coarse);
        assert_eq!(shown, ["42s", "119s", "118m", "27h", "11d"]);
    }
}
