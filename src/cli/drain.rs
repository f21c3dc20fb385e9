//! `tidegate drain`: another replica in the place of one.

use super::client::{Client, ClientError};
use super::progress::{Progress, patient};
use super::{FAILED, Running, fail, print, print_json};
use crate::admin::view::{self, Service};
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub struct Drain {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// The host port of the replica, as `status` shows it under SLOT
    #[arg(value_name = "PORT")]
    slot: u16,
    /// Return as soon as it has begun
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    running: Running,
}

impl Drain {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        let (name, slot) = (&self.service, self.slot);
        let path = format!("/api/v1/services/{name}");
        let order = view::Drain { slot };
        let drained: view::Drained = match client.order(&format!("{path}/drain"), &order) {
            Ok(drained) => drained,
            Err(error) => return fail(FAILED, error),
        };
        if !self.detach
            && let Err(error) = self.follow(&client, &path, &drained.id)
        {
            return fail(FAILED, error);
        }
        if self.running.output.json {
            return print_json(&drained);
        }
        match self.detach {
            true => print(format_args!("{name}: {slot} is being replaced\n")),
            false => print(format_args!("{name}: {slot} was replaced\n")),
        }
    }

    /// Shows how it goes until another replica sits in its place.
    fn follow(&self, client: &Client, path: &str, id: &str) -> Result<(), ClientError> {
        let (name, slot) = (&self.service, self.slot);
        let mut progress = Progress::new(self.running.output.json);
        loop {
            let service: Service = patient(|| client.get(path))?;
            let mut replicas = service.replicas.iter();
            let left = replicas.find(|replica| replica.id == id);
            let awake = service.replicas.iter().filter(|it| it.state != "asleep");
            let settled =
                awake.count() as u32 == service.desired && service.ready >= service.desired;
            if left.is_none() && settled {
                progress.end();
                return Ok(());
            }
            let state = left.map_or("gone; the port gets a new one", |it| it.state.as_str());
            let line = format!("{name}: {slot} is {state}, {} ready", service.ready);
            progress.show(&line, &line);
            progress.wait();
        }
    }
}
