//! `tidegate run`

use super::arguments::{ConfigFile, ServiceFlags};
use super::output::{FAILED, fail, refuse};
use super::terminal;
use crate::app::{self, Options, StartError, TakeOver};
use crate::log_writer::process;
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
    /// Take over from the running Tidegate: its listening sockets, its containers and new
    /// clients; without one, start as usual
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
    /// When the running one gets the signal QUIT
    OnQuit,
}

impl Run {
    pub fn run(self, registry: Registry) -> ExitCode {
        let text = match self.file.find() {
            Ok(text) => text,
            Err(code) => return code,
        };
        if let Err(error) = process::start(terminal::safe) {
            return fail(FAILED, format_args!("no thread for the log: {error}"));
        }
        let options = Options {
            overrides: self.service.overrides(),
            file: self.file.config,
            remove: self.remove,
            upgrade: self.upgrade.map(|when| match when {
                Upgrade::Now => TakeOver::Now,
                Upgrade::OnQuit => TakeOver::OnQuit,
            }),
        };
        let error = app::run(&text, options, registry);
        // Messages from here on go straight to the standard error.
        log::logger().flush();
        match error {
            StartError::Config(problems) => refuse(&problems),
            StartError::System(message) => fail(FAILED, message),
        }
    }
}
