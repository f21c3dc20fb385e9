//! `tidegate events`: past events, and new ones.

use super::arguments::Running;
use super::client::ClientError;
use super::output::{self, FAILED, fail, is_reader_gone, print, print_json};
use super::stream::{StreamMessage, Streamed};
use super::terminal::paint;
use crate::admin::view::{EventJson, EventsJson};
use clap::Args;
use std::process::ExitCode;

/// Colour of warnings.
const YELLOW: u8 = 33;

#[derive(Args)]
pub struct Events {
    /// Only events of this service
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
    /// Follow new events
    #[arg(short, long)]
    follow: bool,
    /// Number of past events to show; at most 1000 are kept
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    last: usize,
    #[command(flatten)]
    running: Running,
}

impl Events {
    pub fn run(self) -> ExitCode {
        let client = match self.running.client() {
            Ok(client) => client,
            Err(code) => return code,
        };
        let json = self.running.output.json;
        let mut path = format!("/api/v1/events?last={}", self.last);
        if let Some(service) = &self.service {
            path.push_str("&service=");
            path.push_str(&escaped(service));
        }
        if !self.follow {
            return match client.get::<EventsJson>(&path) {
                Ok(list) if json => print_json(&list.events),
                Ok(list) => print(list.events.iter().map(line).collect::<String>()),
                Err(error) => fail(FAILED, error),
            };
        }
        output::end_with_reader();
        let mut code = ExitCode::SUCCESS;
        let followed = client.follow(&(path + "&follow"), |message| {
            code = show(message, json);
            match code == ExitCode::SUCCESS && !is_reader_gone() {
                true => Streamed::More,
                false => Streamed::Enough,
            }
        });
        match followed {
            Ok(()) => code,
            Err(ClientError::Refused(_, why)) => fail(FAILED, why),
            Err(error) => fail(FAILED, error),
        }
    }
}

fn show(message: &StreamMessage, json: bool) -> ExitCode {
    if message.name == "missed" {
        output::complain("tidegate: events came in between that are not kept any more");
        return ExitCode::SUCCESS;
    }
    if json {
        return print(format_args!("{}\n", message.data));
    }
    match serde_json::from_str::<EventJson>(&message.data) {
        Ok(told) => print(line(&told)),
        // A newer Tidegate may send events that this one does not know.
        Err(_) => print(format_args!("{}\n", message.data)),
    }
}

fn line(told: &EventJson) -> String {
    let text = match told.level.as_str() {
        "warn" => paint(&told.text, YELLOW),
        _ => told.text.clone(),
    };
    format!("{}  {text}\n", told.time)
}

/// Escapes text for a query; names of services need none.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
