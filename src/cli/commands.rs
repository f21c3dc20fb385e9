//! The list of commands.

use super::arguments::OutputForm;
use super::{
    certs, check, completions, deploy, events, explain, init, logs, man, plan, reload, replace,
    run, scale, schema, simulate, status, top, trust, version,
};
use crate::plugin::Registry;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// An edge load balancer that runs its own backends.
#[derive(Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Balance requests, and start and replace the containers behind
    Run(run::Run),
    /// Check a configuration and report every problem
    Check(check::Check),
    /// Show the containers that `run` would start and stop (exit code 3: any)
    Plan(plan::Plan),
    /// Show the services of the running Tidegate and their replicas
    #[command(alias = "ps")]
    Status(status::Status),
    /// Show certificates, until when they are valid, and the next order; or take over others'
    Certs(certs::Certs),
    /// Print the root of the local CA, or have this machine trust it
    Trust(trust::Trust),
    /// Watch the services live, with keys to scale, replace and deploy
    Top(top::TopArgs),
    /// Show past events, and follow new ones
    Events(events::Events),
    /// Show the logs of a service's replicas
    Logs(logs::Logs),
    /// Show the scaling decisions of a service, with their reasons
    Explain(explain::Explain),
    /// Roll out an image of a service, replica by replica; rolls back if that fails
    Deploy(deploy::Deploy),
    /// Hold a number of replicas, or return to the policy
    Scale(scale::Scale),
    /// Replace one replica without losing a request
    #[command(visible_alias = "drain")]
    Replace(replace::Replace),
    /// Reload the configuration of the running Tidegate
    Reload(reload::Reload),
    /// Simulate scaling policies over a trace of traffic
    Simulate(Box<simulate::Simulate>),
    /// Write a first configuration, for an image or from a Compose file
    Init(init::Init),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print a completion script for a shell, as in `tidegate completions bash`
    Completions(completions::Completions),
    /// Print the manual page, or write one for each command
    Man(man::ManPages),
    /// Show the version
    Version(OutputForm),
}

/// Parses the command line and runs the command.
pub fn main(registry: Registry, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::parse_from(arguments).command {
        Command::Run(run) => run.run(registry),
        Command::Check(check) => check.run(&registry),
        Command::Plan(plan) => plan.run(&registry),
        Command::Status(status) => status.run(),
        Command::Certs(certs) => certs.run(&registry),
        Command::Trust(trust) => trust.run(),
        Command::Top(top) => top.run(),
        Command::Events(events) => events.run(),
        Command::Logs(logs) => logs.run(&registry),
        Command::Explain(explain) => explain.run(),
        Command::Deploy(deploy) => deploy.run(),
        Command::Scale(scale) => scale.run(),
        Command::Replace(replace) => replace.run(),
        Command::Reload(reload) => reload.run(),
        Command::Simulate(simulate) => simulate.run(&registry),
        Command::Init(init) => init.run(&registry),
        Command::Schema => schema::run(&registry),
        Command::Completions(completions) => completions.run(Cli::command()),
        Command::Man(man) => man.run(Cli::command()),
        Command::Version(output) => version::run(&output),
    }
}
