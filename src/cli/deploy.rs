//! `tidegate deploy`: another image, replica by replica, or back.

use super::arguments::Running;
use super::client::{self, Client, ClientError};
use super::output::{self, FAILED, fail, print, print_json};
use super::waiting::{ProgressWatch, Unfinished, WaitOptions, patient, reasons};
use crate::admin::view::{self, RolloutJson, ServiceJson};
use crate::service::time::Human;
use clap::Args;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of SIGINT in shells.
const INTERRUPTED: i32 = 130;

#[derive(Args)]
pub struct Deploy {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The image to run [default: the file's, with the present content of its tag]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Return to the file's image; the default
    #[arg(long, conflicts_with = "image")]
    image_from_file: bool,
    #[command(flatten)]
    waiting: WaitOptions,
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
        let order = view::DeployRequest {
            image: self.image.clone(),
        };
        let name = &self.service;
        let (began, timeout) = (Instant::now(), self.waiting.timeout);
        let ordered = client.order_within(&format!("{path}/deploy"), &order, timeout);
        let deployed: view::DeployResult = match ordered {
            Ok(deployed) => deployed,
            Err(ClientError::Silent(within)) => {
                let image = self.image.as_deref().unwrap_or("its image");
                return fail(FAILED, unresolved(name, image, within));
            }
            Err(error) => return fail(FAILED, error),
        };
        let version = &deployed.version;
        if !deployed.begun || self.waiting.no_wait {
            return match (self.running.output.json, deployed.begun) {
                (true, _) => print_json(&deployed),
                (_, true) => print(format_args!("{name}: rolling out {version}\n")),
                (_, false) => print(format_args!(
                    "{name}: every replica runs {version} already\n"
                )),
            };
        }
        mention_at_interrupt(name);
        let watch = ProgressWatch::new(name, self.running.output.json, began, timeout);
        match follow(&client, &path, version, watch) {
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
            Err(unfinished) => {
                let then = format!("`tidegate deploy {name} --image IMAGE` changes it");
                fail(FAILED, unfinished.message(name, &then))
            }
        }
    }
}

fn unresolved(name: &str, image: &str, within: Duration) -> String {
    format!(
        "{name}: the registry did not resolve {image} within {}\n  hint: the deploy begins once it \
         answers; `tidegate status` shows that",
        Human(within)
    )
}

/// Says on Ctrl-C that the deploy goes on.
fn mention_at_interrupt(name: &str) {
    let name = name.to_owned();
    std::thread::spawn(move || {
        let came = client::block_on(async {
            let told = |error: std::io::Error| ClientError::Broken(error.to_string());
            let mut interrupt = signal(SignalKind::interrupt()).map_err(told)?;
            Ok(interrupt.recv().await)
        });
        if came.is_ok() {
            output::complain(format_args!(
                "\ntidegate: {name}: the deploy continues\n  hint: `tidegate status` shows its \
                 progress, `tidegate deploy {name} --image IMAGE` changes it"
            ));
            std::process::exit(INTERRUPTED);
        }
    });
}

/// Shows progress until the rollout is over.
fn follow(
    client: &Client,
    path: &str,
    version: &str,
    mut watch: ProgressWatch,
) -> Result<ServiceJson, Unfinished> {
    loop {
        let service: ServiceJson = patient(|| client.get(path))?;
        let Some(rollout) = &service.rollout else {
            // There was nothing to be replaced.
            if service.ready >= service.desired {
                watch.end();
                return Ok(service);
            }
            let state = format!("{} of {} ready", service.ready, service.desired);
            watch.show(state, reasons(&service));
            watch.wait()?;
            continue;
        };
        let is_over = ["done", "rolled back", "paused"].contains(&rollout.stage.as_str());
        if is_over || service.asleep || rollout.to != version {
            watch.end();
            return Ok(service);
        }
        let why = rollout.why.clone().into_iter();
        watch.show(state(rollout), why.chain(reasons(&service)).collect());
        watch.wait()?;
    }
}

fn state(rollout: &RolloutJson) -> String {
    let RolloutJson {
        stage,
        ready,
        wanted,
        others,
        ..
    } = rollout;
    match others {
        0 => format!("{stage}: {ready} of {wanted} ready"),
        _ => format!("{stage}: {ready} of {wanted} ready, {others} to be replaced"),
    }
}

/// Whether this version is in use; a rollout of another one does not count.
fn ended_well(service: &ServiceJson, version: &str) -> bool {
    let rollout = service.rollout.as_ref();
    rollout.is_none_or(|it| it.to == version && (it.stage == "done" || service.asleep))
}

fn done(service: &ServiceJson, version: &str) -> String {
    let ServiceJson { name, ready, .. } = service;
    if service.asleep {
        return format!(
            "{name}: asleep; the next request starts {version}, or the version before if that fails\n"
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

fn failed(service: &ServiceJson, version: &str) -> String {
    let name = &service.name;
    let Some(rollout) = service.rollout.as_ref().filter(|it| it.to == version) else {
        return format!("{name}: another change began before the rollout of {version} was done");
    };
    let why = rollout.why.as_deref().unwrap_or("the rollout was given up");
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
        let _ = write!(text, "\n  last logs, on {}:", failure.slot);
        for words in &failure.last_words {
            let _ = write!(text, "\n    {words}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::view::FailedReplicaJson;

    #[test]
    fn a_failure_says_why_and_what_the_replica_said() {
        let rollout = RolloutJson {
            stage: "rolled back".to_owned(),
            from: "web:1 (aaaa)".to_owned(),
            to: "web:2 (bbbb)".to_owned(),
            ready: 3,
            others: 0,
            wanted: 3,
            took_seconds: 4.2,
            why: Some("the new replica on 8003 failed: exited with code 1".to_owned()),
            failures: vec![FailedReplicaJson {
                slot: 8003,
                why: "exited with code 1".to_owned(),
                last_words: vec!["no DATABASE_URL".to_owned()],
            }],
        };
        let service = ServiceJson {
            name: "web".to_owned(),
            desired: 3,
            ready: 3,
            rollout: Some(rollout),
            ..ServiceJson::default()
        };
        let expected = "\
web: web:2 (bbbb) was rolled back, and 3 of 3 replicas run web:1 (aaaa) again: the new replica on \
8003 failed: exited with code 1
  last logs, on 8003:
    no DATABASE_URL";
        assert_eq!(failed(&service, "web:2 (bbbb)"), expected);
        assert!(!ended_well(&service, "web:2 (bbbb)"));
        let done = ServiceJson {
            rollout: service.rollout.map(|rollout| RolloutJson {
                stage: "done".to_owned(),
                ..rollout
            }),
            ..service
        };
        assert!(ended_well(&done, "web:2 (bbbb)"));
        assert!(!ended_well(&done, "web:3 (cccc)"), "somebody else's");
    }
}
