//! `tidegate replace`: another replica in the place of one.

use super::arguments::Running;
use super::client::Client;
use super::output::{FAILED, fail, print, print_json};
use super::waiting::{ProgressWatch, Unfinished, WaitOptions, patient, reasons};
use crate::admin::view::{self, ServiceJson};
use clap::Args;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Args)]
pub struct Replace {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The host port of the replica, as `status` shows it under SLOT
    #[arg(value_name = "PORT")]
    slot: u16,
    #[command(flatten)]
    waiting: WaitOptions,
    #[command(flatten)]
    running: Running,
}

impl Replace {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        let (name, slot) = (&self.service, self.slot);
        let (began, no_wait) = (Instant::now(), self.waiting.no_wait);
        let path = format!("/api/v1/services/{name}");
        let order = view::DrainRequest { slot };
        let drained: view::DrainResult = match client.order(&format!("{path}/drain"), &order) {
            Ok(drained) => drained,
            Err(error) => return fail(FAILED, error),
        };
        let watch = ProgressWatch::new(name, self.running.output.json, began, self.waiting.timeout);
        if !no_wait && let Err(unfinished) = self.follow(&client, &path, &drained.id, watch) {
            let then = format!("`tidegate logs {name}` shows the output of its replicas");
            return fail(FAILED, unfinished.message(name, &then));
        }
        if self.running.output.json {
            return print_json(&drained);
        }
        match no_wait {
            true => print(format_args!("{name}: {slot} is being replaced\n")),
            false => print(format_args!("{name}: {slot} was replaced\n")),
        }
    }

    /// Shows progress until another replica is in its place.
    fn follow(
        &self,
        client: &Client,
        path: &str,
        id: &str,
        mut watch: ProgressWatch,
    ) -> Result<(), Unfinished> {
        let slot = self.slot;
        loop {
            let service: ServiceJson = patient(|| client.get(path))?;
            let mut replicas = service.replicas.iter();
            let left = replicas.find(|replica| replica.id == id);
            let awake = service.replicas.iter().filter(|it| it.state != "asleep");
            let settled =
                awake.count() as u32 == service.desired && service.ready >= service.desired;
            if left.is_none() && settled {
                watch.end();
                return Ok(());
            }
            let state = left.map_or("removed; the port gets a new one", |it| it.state.as_str());
            let state = format!("{slot} is {state}, {} ready", service.ready);
            watch.show(state, reasons(&service));
            watch.wait()?;
        }
    }
}
