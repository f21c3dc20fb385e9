//! `tidegate scale`: a fixed number of replicas, or as many as the policy decides.

use super::arguments::Running;
use super::client::Client;
use super::output::{FAILED, fail, print, print_json};
use super::waiting::{ProgressWatch, Unfinished, WaitOptions, patient, reasons};
use crate::admin::view::{self, Auto, ReplicaCount, ServiceJson};
use clap::Args;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Args)]
pub struct Scale {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Number of replicas, from `scale.min` to `scale.max`; `auto`: as the policy decides
    #[arg(value_name = "N|auto", value_parser = count)]
    replicas: ReplicaCount,
    #[command(flatten)]
    waiting: WaitOptions,
    #[command(flatten)]
    running: Running,
}

fn count(text: &str) -> Result<ReplicaCount, String> {
    match text {
        "auto" => Ok(ReplicaCount::Auto(Auto::Auto)),
        number => match number.parse() {
            Ok(count) => Ok(ReplicaCount::Fixed(count)),
            Err(_) => Err("a number of replicas, or `auto`".to_owned()),
        },
    }
}

impl Scale {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        let name = &self.service;
        let (began, no_wait) = (Instant::now(), self.waiting.no_wait);
        let path = format!("/api/v1/services/{name}");
        let order = view::ScaleRequest {
            replicas: self.replicas,
        };
        let scaled: view::ScaleResult = match client.order(&format!("{path}/scale"), &order) {
            Ok(scaled) => scaled,
            Err(error) => return fail(FAILED, error),
        };
        let json = self.running.output.json;
        if scaled.by_hand.is_some() && !no_wait {
            let watch = ProgressWatch::new(name, json, began, self.waiting.timeout);
            if let Err(unfinished) = follow(&client, &path, scaled.desired, watch) {
                let then = format!("`tidegate scale {name} auto` lets the policy decide again");
                return fail(FAILED, unfinished.message(name, &then));
            }
        }
        let wanted = scaled.desired;
        match (json, scaled.by_hand) {
            (true, _) => print_json(&scaled),
            (_, Some(_)) if no_wait => print(format_args!(
                "{name}: {} by hand, on the way\n",
                many(wanted)
            )),
            (_, Some(_)) => print(format_args!(
                "{name}: {}, until `tidegate scale {name} auto`\n",
                many(wanted)
            )),
            (_, None) => print(format_args!(
                "{name}: the policy decides again; it wants {}\n",
                many(wanted)
            )),
        }
    }
}

fn many(replicas: u32) -> String {
    match replicas {
        1 => "1 replica".to_owned(),
        _ => format!("{replicas} replicas"),
    }
}

/// Shows progress until as many are ready, or another number is wanted.
fn follow(
    client: &Client,
    path: &str,
    wanted: u32,
    mut watch: ProgressWatch,
) -> Result<(), Unfinished> {
    loop {
        let service: ServiceJson = patient(|| client.get(path))?;
        let is_there = service.ready == wanted && service.replicas.len() as u32 == wanted;
        if is_there || service.desired != wanted {
            watch.end();
            return Ok(());
        }
        let state = format!("{} of {wanted} ready", service.ready);
        watch.show(state, reasons(&service));
        watch.wait()?;
    }
}
