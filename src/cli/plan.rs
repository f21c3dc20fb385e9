//! `tidegate plan`: a dry run.

use super::arguments::{ConfigFile, OutputForm, ServiceFlags};
use super::output::{FAILED, WOULD_CHANGE, fail, print, print_json, refuse};
use crate::app;
use crate::config;
use crate::control::{Forecast, ImageNote, Images};
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
    /// As after `reload --image-from-file`: images deployed by hand are replaced by the file's
    #[arg(long)]
    image_from_file: bool,
    #[command(flatten)]
    output: OutputForm,
}

#[derive(Serialize)]
struct PlannedStep {
    service: String,
    /// `start`, `drain`, `return`, `pause`, `resume` or `stop`.
    action: &'static str,
    slot: u16,
    because: String,
    /// Differences to what the service runs now, the image first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<String>,
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
        let images = match self.image_from_file {
            true => Images::FromFile,
            false => Images::Keep,
        };
        let forecasts = match app::forecast(&config, images) {
            Ok(forecasts) => forecasts,
            Err(error) => return fail(FAILED, error),
        };
        let steps: Vec<PlannedStep> = forecasts.iter().flat_map(steps).collect();
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

fn steps(forecast: &Forecast) -> impl Iterator<Item = PlannedStep> {
    forecast.actions.iter().map(|action| {
        let (verb, slot, because) = match action {
            Action::FetchImage { slot, because } => ("fetch the image", slot, because),
            Action::Start { slot, because } => ("start", slot, because),
            Action::Drain { slot, because, .. } => ("drain", slot, because),
            Action::Return { slot, because, .. } => ("return", slot, because),
            Action::Pause { slot, because, .. } => ("pause", slot, because),
            Action::Resume { slot, because, .. } => ("resume", slot, because),
            Action::Stop { slot, because, .. } => ("stop", slot, because),
        };
        PlannedStep {
            service: forecast.service.to_string(),
            action: verb,
            slot: *slot,
            because: because.to_string(),
            differences: differences_of(forecast),
        }
    })
}

/// Differences of all services, one a line.
fn differences(forecasts: &[Forecast]) -> String {
    let lines = forecasts.iter().flat_map(differences_of);
    lines.map(|line| line + "\n").collect()
}

fn differences_of(forecast: &Forecast) -> Vec<String> {
    let image = forecast.image.as_ref().map(ImageNote::to_string);
    let others = match forecast.changed.as_slice() {
        [] => None,
        keys => Some(format!("{}: {} changed", forecast.service, keys.join(", "))),
    };
    image.into_iter().chain(others).collect()
}

fn lines(steps: &[PlannedStep], forecasts: &[Forecast]) -> String {
    let mut out = differences(forecasts);
    let nothing_to_do = steps.is_empty() && forecasts.iter().all(|it| it.because.is_empty());
    for PlannedStep {
        service,
        action,
        slot,
        because,
        ..
    } in steps
    {
        let _ = writeln!(out, "{service}: {action} {slot}: {because}");
    }
    for forecast in forecasts {
        for reason in &forecast.because {
            let _ = writeln!(out, "{}: {reason}", forecast.service);
        }
    }
    if nothing_to_do {
        out.push_str("nothing to do\n");
    }
    out
}
