//! `tidegate deploy`: another image, replica by replica, or back.

use super::client::{self, Client, ClientError};
use super::progress::{Progress, patient};
use super::{FAILED, Running, fail, print, print_json};
use crate::admin::view::{self, Replica, Rollout, Service};
use crate::service::time::Human;
use clap::Args;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// As shells have it for SIGINT.
const INTERRUPTED: i32 = 130;

/// In seconds.
const LATE: f64 = 2.0;

#[derive(Args)]
pub struct Deploy {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The image to run [default: the configured one, as its tag stands now]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Return as soon as it has begun
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    running: Running,
}

impl Deploy {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        let path = format!("/api/v1/services/{}", self.service);
        let order = view::Deploy {
            image: self.image.clone(),
        };
        let deployed: view::Deployed = match client.order(&format!("{path}/deploy"), &order) {
            Ok(deployed) => deployed,
            Err(error) => return fail(FAILED, error),
        };
        let name = &self.service;
        let version = &deployed.version;
        if !deployed.begun || self.detach {
            return match (self.running.output.json, deployed.begun) {
                (true, _) => print_json(&deployed),
                (_, true) => print(format_args!("{name}: {version} is on its way\n")),
                (_, false) => print(format_args!(
                    "{name}: every replica runs {version} already\n"
                )),
            };
        }
        mention_at_interrupt(name);
        match follow(&client, &path, version, self.running.output.json) {
            Ok(service) if self.running.output.json => {
                let code = print_json(&service.rollout);
                if ended_well(&service, version) {
                    code
                } else {
                    ExitCode::from(FAILED)
                }
            }
            Ok(service) if ended_well(&service, version) => print(done(&service, version)),
            Ok(service) => fail(FAILED, failed(&service, version)),
            Err(error) => fail(FAILED, error),
        }
    }
}

/// Whoever stops watching learns that nothing else stops.
fn mention_at_interrupt(name: &str) {
    let name = name.to_owned();
    std::thread::spawn(move || {
        let came = client::block_on(async {
            let told = |error: std::io::Error| ClientError::Broken(error.to_string());
            let mut interrupt = signal(SignalKind::interrupt()).map_err(told)?;
            Ok(interrupt.recv().await)
        });
        if came.is_ok() {
            super::complain(format_args!(
                "\ntidegate: {name}: it goes on without being watched\n  hint: `tidegate status` \
                 shows how, `tidegate deploy {name} --image IMAGE` goes back or elsewhere"
            ));
            std::process::exit(INTERRUPTED);
        }
    });
}

/// Shows how it goes until it is over.
fn follow(client: &Client, path: &str, version: &str, quiet: bool) -> Result<Service, ClientError> {
    let mut progress = Progress::new(quiet);
    loop {
        let service: Service = patient(|| client.get(path))?;
        let Some(rollout) = &service.rollout else {
            // There was nothing to be replaced.
            if service.ready >= service.desired {
                return Ok(service);
            }
            progress.show(&service.because.join("; "), &service.ready);
            progress.wait();
            continue;
        };
        let is_over = ["done", "rolled back", "paused"].contains(&rollout.stage.as_str());
        if is_over || service.asleep || rollout.to != version {
            progress.end();
            return Ok(service);
        }
        let late = late(&service).map(|replica| replica.because.clone());
        let at = (rollout.stage.clone(), rollout.ready, rollout.others, late);
        progress.show(&line(&service, rollout), &at);
        progress.wait();
    }
}

fn line(service: &Service, rollout: &Rollout) -> String {
    let Rollout {
        stage,
        ready,
        wanted,
        others,
        ..
    } = rollout;
    let mut line = format!("{}: {stage}: {ready} of {wanted} ready", service.name);
    if *others > 0 {
        let _ = write!(line, ", {others} to be replaced");
    }
    // The first reason is the scaler's.
    if let Some(why) = service.because.get(1) {
        let _ = write!(line, " ({why})");
    }
    if let Some(replica) = late(service) {
        let why = replica.because.as_deref().unwrap_or_default();
        let _ = write!(line, "; {}: {why}", replica.slot);
    }
    line
}

/// A new replica that most would have been ready instead of; it says by then why it is not.
fn late(service: &Service) -> Option<&Replica> {
    service.replicas.iter().find(|replica| {
        replica.state == "starting" && replica.since_seconds > LATE && replica.because.is_some()
    })
}

/// A rollout of something else says nothing of this one.
fn ended_well(service: &Service, version: &str) -> bool {
    let rollout = service.rollout.as_ref();
    rollout.is_none_or(|it| it.to == version && (it.stage == "done" || service.asleep))
}

fn done(service: &Service, version: &str) -> String {
    let Service { name, ready, .. } = service;
    if service.asleep {
        return format!(
            "{name}: sleeps; the next request starts {version}, and if that fails what it was before\n"
        );
    }
    let took = service.rollout.as_ref().map_or(0.0, |it| it.took_seconds);
    let took = Human(Duration::from_secs_f64(took.max(0.0)));
    let run = match ready {
        1 => "replica runs",
        _ => "replicas run",
    };
    format!("{name}: {ready} {run} {version}, after {took}\n")
}

fn failed(service: &Service, version: &str) -> String {
    let name = &service.name;
    let Some(rollout) = service.rollout.as_ref().filter(|it| it.to == version) else {
        return format!("{name}: another change came before {version} was everywhere");
    };
    let why = rollout.why.as_deref().unwrap_or("it was given up");
    let mut text = match rollout.stage.as_str() {
        "paused" => format!("{name}: the change to {version} is paused: {why}"),
        _ => format!(
            "{name}: {version} was rolled back, and {} of {} replicas run {} again: {why}",
            rollout.ready, rollout.wanted, rollout.from
        ),
    };
    for failure in rollout
        .failures
        .iter()
        .filter(|failure| !failure.last_words.is_empty())
        .take(1)
    {
        let _ = write!(text, "\n  what it said last, on {}:", failure.slot);
        for words in &failure.last_words {
            let _ = write!(text, "\n    {words}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::FailedReplica;

    #[test]
    fn a_failure_says_why_and_what_the_replica_said() {
        let rollout = Rollout {
            stage: "rolled back".to_owned(),
            from: "web:1 (aaaa)".to_owned(),
            to: "web:2 (bbbb)".to_owned(),
            ready: 3,
            others: 0,
            wanted: 3,
            took_seconds: 4.2,
            why: Some("the new replica on 8003 failed: exited with code 1".to_owned()),
            failures: vec![FailedReplica {
                slot: 8003,
                why: "exited with code 1".to_owned(),
                last_words: vec!["no DATABASE_URL".to_owned()],
            }],
        };
        let service = Service {
            name: "web".to_owned(),
            desired: 3,
            ready: 3,
            rollout: Some(rollout),
            ..Service::default()
        };
        let expected = "\
web: web:2 (bbbb) was rolled back, and 3 of 3 replicas run web:1 (aaaa) again: the new replica on \
8003 failed: exited with code 1
  what it said last, on 8003:
    no DATABASE_URL";
        assert_eq!(failed(&service, "web:2 (bbbb)"), expected);
        assert!(!ended_well(&service, "web:2 (bbbb)"));
        let done = Service {
            rollout: service.rollout.map(|rollout| Rollout {
                stage: "done".to_owned(),
                ..rollout
            }),
            ..service
        };
        assert!(ended_well(&done, "web:2 (bbbb)"));
        assert!(!ended_well(&done, "web:3 (cccc)"), "somebody else's");
    }
}
