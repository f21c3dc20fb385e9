//! The command: a list, or the import.

use super::import::Import;
use super::list;
use crate::cli::arguments::Running;
use crate::plugin::Registry;
use clap::{Args, Subcommand};
use std::process::ExitCode;

#[derive(Args)]
#[command(mut_args(|argument| argument.global(true)))]
pub struct Certs {
    #[command(flatten)]
    running: Running,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Take over the certificates of Traefik, Caddy or certbot, while Tidegate does not run
    Import(Import),
}

impl Certs {
    pub fn run(self, registry: &Registry) -> ExitCode {
        match self.action {
            None => list::run(&self.running),
            Some(Action::Import(import)) => import.run(&self.running, registry),
        }
    }
}
