//! `tidegate logs`: logs of a service's replicas, each line with its slot.

use super::arguments::{ConfigFile, OutputForm};
use super::client::Client;
use super::output::{self, FAILED, fail, print};
use super::terminal::paint;
use crate::admin::view::{LastLogsJson, ServiceJson};
use crate::app::{self, LogQuery, ReplicaLine};
use crate::config::{self, Env, Flags, Overrides, Text};
use crate::plugin::Registry;
use crate::service::store;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;

#[derive(Args)]
pub struct Logs {
    /// The service
    #[arg(value_name = "SERVICE")]
    service: String,
    /// Follow the logs, also of replicas that start later
    #[arg(short, long)]
    follow: bool,
    /// Number of last lines of each replica, or `all`
    #[arg(short = 'n', long, value_name = "N|all", default_value = "100", value_parser = last)]
    tail: Last,
    /// Show the time of each line
    #[arg(short, long)]
    timestamps: bool,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    output: OutputForm,
}

#[derive(Clone, Copy)]
struct Last(Option<u32>);

fn last(text: &str) -> Result<Last, String> {
    match text {
        "all" => Ok(Last(None)),
        number => match number.parse() {
            Ok(number) => Ok(Last(Some(number))),
            Err(_) => Err("a number of lines, or `all`".to_owned()),
        },
    }
}

impl Logs {
    pub fn run(self, registry: &Registry) -> ExitCode {
        let text = match self.file.find() {
            Ok(text) => text,
            Err(code) => return code,
        };
        let name = &self.service;
        if let Err(why) = self.is_there(&text, registry) {
            return fail(FAILED, why);
        }
        let query = LogQuery {
            instance: &config::instance(&text, &Env::process()),
            service: name,
            follow: self.follow,
            last: self.tail.0,
        };
        if self.follow {
            output::end_with_reader();
        }
        let mut code = ExitCode::SUCCESS;
        let mut gone = false;
        // Replicas that fail one after another are removed with their logs.
        let last_words = self.last_words(&text);
        if let Some(words) = &last_words {
            code = print(self.before(words));
        }
        let logs = app::logs(&query, |said| {
            code = print(self.line(said));
            gone = output::is_reader_gone();
            code == ExitCode::SUCCESS && !gone
        });
        match logs {
            Ok(0) if last_words.is_none() => fail(
                FAILED,
                format_args!(
                    "`{name}` has no container here\n  hint: `tidegate status` shows the reason"
                ),
            ),
            Ok(_) => code,
            Err(error) => fail(FAILED, error),
        }
    }

    /// Reports a service that cannot have logs. The file may be missing, or wrong by now, while
    /// replicas run all the same.
    fn is_there(&self, text: &Text, registry: &Registry) -> Result<(), String> {
        let (_writer, reader) = store::store();
        let overrides = Overrides::new(Flags::default(), Env::process());
        let Ok(config) = config::load(text, &overrides, registry, reader, None) else {
            return Ok(());
        };
        let name = &self.service;
        let mut services = config.services.iter().map(|service| &service.spec);
        match services.clone().find(|spec| spec.name.as_str() == name) {
            Some(spec) if spec.template().is_none() => Err(format!(
                "`{name}` has fixed addresses, whose logs Tidegate cannot read"
            )),
            Some(_) => Ok(()),
            None => {
                let known = services.by_ref().map(|spec| format!("`{}`", spec.name));
                let known = known.collect::<Vec<_>>().join(", ");
                let file = &text.name;
                Err(format!(
                    "there is no service `{name}` in {file}; there is {known}"
                ))
            }
        }
    }

    /// Last logs that the running Tidegate remembers; it may not run.
    fn last_words(&self, text: &Text) -> Option<LastLogsJson> {
        let client = Client::new(&config::state_dir(text, &Env::process()));
        let path = format!("/api/v1/services/{}", self.service);
        let service: ServiceJson = client.get(&path).ok()?;
        service.last_words
    }

    fn before(&self, words: &LastLogsJson) -> String {
        let slot = words.slot;
        if self.output.json {
            let lines = words.lines.iter();
            let lines = lines.map(|line| json!({ "slot": slot, "gone": true, "line": line }));
            return lines.map(|line| format!("{line}\n")).collect();
        }
        let mut out = format!("the last lines of a failed replica on {slot}, now removed:\n");
        let slot = colour(slot);
        for line in &words.lines {
            out += &format!("{slot} {line}\n");
        }
        out.push('\n');
        out
    }

    fn line(&self, said: &ReplicaLine) -> String {
        let ReplicaLine { slot, id, line } = said;
        if self.output.json {
            let line = json!({
                "slot": slot,
                "replica": *id.0,
                "time": line.time,
                "stream": if line.is_error { "stderr" } else { "stdout" },
                "line": line.text,
            });
            return format!("{line}\n");
        }
        let slot = colour(*slot);
        match self.timestamps {
            true => format!("{slot} {} {}\n", line.time, line.text),
            false => format!("{slot} {}\n", line.text),
        }
    }
}

/// Colour of a slot; with many slots colours repeat.
fn colour(slot: u16) -> String {
    paint(&format!("{slot} |"), 31 + (slot % 6) as u8)
}
