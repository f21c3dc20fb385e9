//! The command line: one command a file, each returning its exit code.

mod check;
mod client;
mod completions;
mod deploy;
mod drain;
mod events;
mod explain;
mod init;
mod logs;
mod man;
mod plan;
mod progress;
mod reload;
mod run;
mod scale;
mod schema;
mod simulate;
mod status;
mod stream;
mod terminal;
mod top;
mod waiting;

use crate::config::{self, Env, Flags, Overrides, Problems, Text};
use crate::plugin::Registry;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use terminal::{paint, safe_for};

/// Failed while running.
const FAILED: u8 = 1;
/// Bad configuration, as in `sysexits.h`.
const BAD_CONFIGURATION: u8 = 64;
/// `plan` would change something.
const WOULD_CHANGE: u8 = 3;

/// An edge load balancer that runs its own backends.
#[derive(Parser)]
#[command(name = "tidegate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve: balance requests, and start and replace the containers behind
    Run(run::Run),
    /// Check a configuration and say everything that is wrong with it
    Check(check::Check),
    /// Show what `run` would start and stop, without doing it (exit code 3: something)
    Plan(plan::Plan),
    /// Show the services of the running Tidegate and their replicas
    #[command(alias = "ps")]
    Status(status::Status),
    /// Watch the services live, with keys to scale, drain and deploy
    Top(top::TopArgs),
    /// Show what happened, and what happens
    Events(events::Events),
    /// Show what the replicas of a service write
    Logs(logs::Logs),
    /// Show what decided how many replicas a service has, and when
    Explain(explain::Explain),
    /// Run another image of a service, replica by replica; goes back if that fails
    Deploy(deploy::Deploy),
    /// Hold a number of replicas, or let the policy decide again
    Scale(scale::Scale),
    /// Replace one replica without losing a request
    Drain(drain::Drain),
    /// Make the running Tidegate read its configuration again
    Reload(reload::Reload),
    /// Show what scaling policies would have done with a trace of traffic
    Simulate(Box<simulate::Simulate>),
    /// Write a configuration to begin with, for an image or from a Compose file
    Init(init::Init),
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print what makes a shell complete commands, as in `tidegate completions bash`
    Completions(completions::Completions),
    /// Print the manual page, or write one for each command
    Man(man::ManPages),
    /// Show the version
    Version(Output),
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration [default: $TIDEGATE_CONFIG, ./tidegate.yaml, /etc/tidegate/tidegate.yaml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What may be said on the command line instead of in the file.
#[derive(Args)]
struct ServiceFlags {
    /// The image to run
    #[arg(long)]
    image: Option<String>,
    /// The port that the program listens on inside the container
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Where to listen, as in 0.0.0.0:80; may be given more than once
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
    /// The path whose answer of 200 says that all is well, or `tcp`: a connection is enough
    /// [default: any answer below 500]
    #[arg(long, value_name = "PATH|tcp")]
    healthcheck: Option<String>,
    /// The fewest replicas
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// The most replicas
    #[arg(long, value_name = "N")]
    max: Option<u32>,
}

/// How to reach the running Tidegate.
#[derive(Args)]
struct Running {
    #[command(flatten)]
    file: ConfigFile,
    /// The state folder of the running Tidegate [default: the configuration's `state_dir`]
    #[arg(long, value_name = "DIR", env = "TIDEGATE_STATE_DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Output {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Parses the command line and does what it says.
pub fn main(registry: Registry, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Cli::parse_from(arguments).command {
        Command::Run(run) => run.run(registry),
        Command::Check(check) => check.run(&registry),
        Command::Plan(plan) => plan.run(&registry),
        Command::Status(status) => status.run(),
        Command::Top(top) => top.run(),
        Command::Events(events) => events.run(),
        Command::Logs(logs) => logs.run(&registry),
        Command::Explain(explain) => explain.run(),
        Command::Deploy(deploy) => deploy.run(),
        Command::Scale(scale) => scale.run(),
        Command::Drain(drain) => drain.run(),
        Command::Reload(reload) => reload.run(),
        Command::Simulate(simulate) => simulate.run(&registry),
        Command::Init(init) => init.run(&registry),
        Command::Schema => schema::run(&registry),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
        Command::Version(output) => version(&output),
    }
}

fn version(output: &Output) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    if output.json {
        print_json(&crate::admin::view::Version::default())
    } else {
        print(format_args!("tidegate {version}\n"))
    }
}

impl ConfigFile {
    fn find(&self) -> Result<Text, ExitCode> {
        config::find(self.config.clone(), &Env::process()).map_err(|problems| refuse(&problems))
    }
}

impl ServiceFlags {
    fn overrides(&self) -> Overrides {
        let flags = Flags {
            listen: (!self.listen.is_empty()).then(|| self.listen.clone()),
            image: self.image.clone(),
            port: self.port,
            healthcheck: self.healthcheck.clone(),
            min: self.min,
            max: self.max,
        };
        Overrides::new(flags, Env::process())
    }
}

impl Running {
    /// The state folder does not depend on the rest of the file being right, so that `reload` of
    /// a bad file still reaches the process that says what is wrong.
    fn client(&self) -> Result<client::Client, ExitCode> {
        let folder = match &self.state_dir {
            Some(folder) => folder.clone(),
            None => config::state_dir(&self.file.find()?, &Env::process()),
        };
        Ok(client::Client::new(&folder))
    }
}

/// Each problem begins its line with file and line, where editors look for them.
fn refuse(problems: &Problems) -> ExitCode {
    complain(problems);
    ExitCode::from(BAD_CONFIGURATION)
}

fn fail(code: u8, message: impl fmt::Display) -> ExitCode {
    complain(format_args!("tidegate: {message}"));
    ExitCode::from(code)
}

/// The exit code is the same when nobody hears it.
fn complain(message: impl fmt::Display) {
    use std::io::Write;
    let mut err = std::io::stderr();
    let message = message.to_string();
    let _ = writeln!(err, "{}", safe_for(&err, &message));
}

/// Whether nobody reads standard output any more; what is printed is lost then.
fn is_reader_gone() -> bool {
    READER_GONE.load(Ordering::Relaxed)
}

static READER_GONE: AtomicBool = AtomicBool::new(false);

/// Ends the process when nobody reads its standard output any more, which printing alone notices
/// only at the next line. For commands that follow something.
fn end_with_reader() {
    use rustix::event::{PollFd, PollFlags, poll};
    std::thread::spawn(|| {
        let out = std::io::stdout();
        let mut watched = [PollFd::new(&out, PollFlags::empty())];
        let gone = PollFlags::ERR | PollFlags::HUP;
        if poll(&mut watched, None).is_ok() && watched[0].revents().intersects(gone) {
            std::process::exit(0);
        }
    });
}

/// Prints to standard output. A reader that left, as in `tidegate status | head`, is no failure.
fn print(text: impl fmt::Display) -> ExitCode {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let text = text.to_string();
    match out.write_all(safe_for(&out, &text).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            READER_GONE.store(true, Ordering::Relaxed);
            ExitCode::SUCCESS
        }
        Err(error) => fail(FAILED, error),
    }
}

fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(format_args!("{text}\n")),
        Err(error) => fail(FAILED, error),
    }
}
