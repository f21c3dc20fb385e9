//! The list of commands.

use super::arguments::OutputForm;
use super::output::{WRONG_USAGE, complain};
use super::{
    certs, check, completions, deploy, events, explain, foreign_commands, init, logs, man, plan,
    reload, replace, run, scale, schema, simulate, status, top, trust, version,
};
use crate::plugin::Registry;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
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
    let matches = command().try_get_matches_from(arguments);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    match cli.unwrap_or_else(|error| refuse(&error)).command {
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
        Command::Completions(completions) => completions.run(command()),
        Command::Man(man) => man.run(command()),
        Command::Version(output) => version::run(&output),
    }
}

/// The command line, with `-f FILE` for `-c FILE` wherever `-f` means nothing else.
fn command() -> clap::Command {
    let mut command = Cli::command();
    let has_file = |command: &clap::Command| {
        let mut arguments = command.get_arguments();
        arguments.any(|argument| argument.get_id() == "config")
            && command
                .get_arguments()
                .all(|argument| argument.get_short() != Some('f'))
    };
    let names = command
        .get_subcommands()
        .filter(|command| has_file(command));
    let names: Vec<String> = names.map(|command| command.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |command| {
            command.mut_arg("config", |argument| argument.visible_short_alias('f'))
        });
    }
    command
}

/// Ends the process for a wrong command line. Names of other programs' commands come with what to
/// type here, instead of the name that looks most alike.
fn refuse(error: &clap::Error) -> ! {
    if error.kind() == ErrorKind::InvalidSubcommand
        && let Some(ContextValue::String(typed)) = error.get(ContextKind::InvalidSubcommand)
        && let Some(hint) = foreign_commands::hint(typed)
    {
        complain(format_args!(
            "tidegate: there is no command `{typed}`\n  hint: {hint}"
        ));
        std::process::exit(i32::from(WRONG_USAGE));
    }
    error.exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn a_file_may_follow_check_and_f() {
        let parses = |line: &str| {
            let words = line.split_whitespace().map(OsString::from);
            command().try_get_matches_from(words).is_ok()
        };
        for line in [
            "tidegate check edge.yaml",
            "tidegate check -f edge.yaml",
            "tidegate run -f edge.yaml --listen 8080",
            "tidegate status -f edge.yaml web",
            "tidegate logs -f web",
            "tidegate events -f -c edge.yaml",
            "tidegate init",
        ] {
            assert!(parses(line), "{line}");
        }
        for line in [
            "tidegate check a.yaml -c b.yaml",
            "tidegate run edge.yaml",
            "tidegate stop",
        ] {
            assert!(!parses(line), "{line}");
        }
    }

    #[test]
    fn commands_of_other_programs_lead_to_ours() {
        for name in [
            "stop", "start", "restart", "up", "down", "ls", "validate", "rollback",
        ] {
            assert!(foreign_commands::hint(name).is_some(), "{name}");
        }
        // A name of ours never gets here.
        for command in command().get_subcommands() {
            assert_eq!(foreign_commands::hint(command.get_name()), None);
        }
    }
}
