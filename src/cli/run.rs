//! `tidegate run`

use super::{ConfigFile, FAILED, ServiceFlags, fail, refuse};
use crate::app::{self, Options, StartError, When};
use crate::plugin::Registry;
use clap::{Args, ValueEnum};
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
    /// Take over from the running Tidegate: its listening sockets, its containers and whoever
    /// comes next; without one, start as usual
    #[arg(
        long,
        value_name = "WHEN",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "now"
    )]
    upgrade: Option<Upgrade>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Upgrade {
    /// As soon as everything is ready
    Now,
    /// Once the running one gets the signal QUIT
    OnQuit,
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
            upgrade: self.upgrade.map(|when| match when {
                Upgrade::Now => When::Now,
                Upgrade::OnQuit => When::OnQuit,
            }),
        };
        match app::run(&text, options, registry) {
            StartError::Config(problems) => refuse(&problems),
            StartError::System(message) => fail(FAILED, message),
        }
    }
}

/// `TIDEGATE_LOG` says what is shown, as in `debug` or `tidegate=debug,pingora=warn`.
fn start_logging() {
    // Pingora's proxy has a line for each client that leaves in the midst of a request, and its
    // connectors one without any address for each idle connection that ended as it was wanted.
    let default = "tidegate=info,pingora_proxy=off,pingora_core::connectors=off,warn";
    let filter = env_logger::Env::new().filter_or("TIDEGATE_LOG", default);
    env_logger::Builder::from_env(filter)
        .format_timestamp_millis()
        .format_target(false)
        // It would show the environment of every container, secrets included.
        .filter_module("bollard", log::LevelFilter::Warn)
        .init();
}
