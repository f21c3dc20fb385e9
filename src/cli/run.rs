//! `tidegate run`

use super::{ConfigFile, FAILED, ServiceFlags, fail, refuse};
use crate::app::{self, Options, StartError};
use crate::plugin::Registry;
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    service: ServiceFlags,
    /// Remove the containers on exit; otherwise they stay and the next start adopts them
    #[arg(long = "rm")]
    remove: bool,
}

impl Run {
    pub fn run(self, registry: Registry) -> ExitCode {
        let text = match self.file.find() {
            Ok(text) => text,
            Err(code) => return code,
        };
        start_logging();
        let options = Options {
            overrides: self.service.overrides(),
            file: self.file.config,
            remove: self.remove,
        };
        match app::run(&text, options, registry) {
            StartError::Config(problems) => refuse(&problems),
            StartError::System(message) => fail(FAILED, message),
        }
    }
}

/// `TIDEGATE_LOG` says what is shown, as in `debug` or `tidegate=debug,pingora=warn`.
fn start_logging() {
    let filter = env_logger::Env::new().filter_or("TIDEGATE_LOG", "tidegate=info,warn");
    env_logger::Builder::from_env(filter)
        .format_timestamp_millis()
        .format_target(false)
        // It would show the environment of every container, secrets included.
        .filter_module("bollard", log::LevelFilter::Warn)
        .init();
}
