//! `tidegate plan`: a dry run.

use super::{
    ConfigFile, FAILED, Output, ServiceFlags, WOULD_CHANGE, fail, print, print_json, refuse,
};
use crate::app;
use crate::config;
use crate::control::Forecast;
use crate::plan::Action;
use crate::plugin::Registry;
use crate::service::store;
use clap::Args;
use serde::Serialize;
use std::fmt::Write;
use std::process::ExitCode;

#[derive(Args)]
pub struct Plan {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    service: ServiceFlags,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Step {
    service: String,
    /// `start`, `drain`, `return`, `pause`, `resume` or `stop`.
    action: &'static str,
    slot: u16,
    because: String,
}

impl Plan {
    pub fn run(self, registry: &Registry) -> ExitCode {
        let text = match self.file.find() {
            Ok(text) => text,
            Err(code) => return code,
        };
        let (_writer, reader) = store::store();
        let overrides = self.service.overrides();
        let config = match config::load(&text, &overrides, registry, reader, None) {
            Ok(config) => config,
            Err(problems) => return refuse(&problems),
        };
        let forecasts = match app::forecast(&config) {
            Ok(forecasts) => forecasts,
            Err(error) => return fail(FAILED, error),
        };
        let steps: Vec<Step> = forecasts.iter().flat_map(steps).collect();
        let printed = if self.output.json {
            print_json(&steps)
        } else {
            print(lines(&steps, &forecasts))
        };
        if printed != ExitCode::SUCCESS || steps.is_empty() {
            return printed;
        }
        ExitCode::from(WOULD_CHANGE)
    }
}

fn steps(forecast: &Forecast) -> impl Iterator<Item = Step> {
    forecast.actions.iter().map(|action| {
        let (verb, slot, because) = match action {
            Action::Start { slot, because } => ("start", slot, because),
            Action::Drain { slot, because, .. } => ("drain", slot, because),
            Action::Return { slot, because, .. } => ("return", slot, because),
            Action::Pause { slot, because, .. } => ("pause", slot, because),
            Action::Resume { slot, because, .. } => ("resume", slot, because),
            Action::Stop { slot, because, .. } => ("stop", slot, because),
        };
        Step {
            service: forecast.service.to_string(),
            action: verb,
            slot: *slot,
            because: because.to_string(),
        }
    })
}

fn lines(steps: &[Step], forecasts: &[Forecast]) -> String {
    let mut out = String::new();
    for Step {
        service,
        action,
        slot,
        because,
    } in steps
    {
        let _ = writeln!(out, "{service}: {action} {slot}: {because}");
    }
    for forecast in forecasts {
        for reason in &forecast.because {
            let _ = writeln!(out, "{}: {reason}", forecast.service);
        }
    }
    if out.is_empty() {
        out.push_str("nothing to do\n");
    }
    out
}
