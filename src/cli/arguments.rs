//! Arguments that several commands have.

use super::client::Client;
use super::output::refuse;
use crate::config::{self, Env, Flags, Overrides, Text};
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// The configuration file.
#[derive(Args)]
pub struct ConfigFile {
    /// The configuration [default: $TIDEGATE_CONFIG, ./tidegate.yaml, /etc/tidegate/tidegate.yaml]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Keys of the file that the command line may set instead.
#[derive(Args)]
pub struct ServiceFlags {
    /// The image to run
    #[arg(long)]
    pub image: Option<String>,
    /// The port on which the program listens inside the container
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// The address to listen on, as in 0.0.0.0:80, or a port alone for every interface; repeatable
    #[arg(long, value_name = "ADDR", value_parser = listen_address)]
    pub listen: Vec<SocketAddr>,
    /// The path that a healthy replica answers with 200, or `tcp`: a connection is enough
    /// [default: any answer below 500]
    #[arg(long, value_name = "PATH|tcp")]
    pub healthcheck: Option<String>,
    /// The fewest replicas
    #[arg(long, value_name = "N")]
    pub min: Option<u32>,
    /// The most replicas
    #[arg(long, value_name = "N")]
    pub max: Option<u32>,
}

/// The running Tidegate, and how to reach it.
#[derive(Args)]
pub struct Running {
    #[command(flatten)]
    pub file: ConfigFile,
    /// The state folder of the running Tidegate [default: the configuration's `state_dir`]
    #[arg(long, value_name = "DIR", env = "TIDEGATE_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputForm,
}

/// The form of the output.
#[derive(Args)]
pub struct OutputForm {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn listen_address(typed: &str) -> Result<SocketAddr, String> {
    let typed = config::listen_address(typed);
    typed.parse().map_err(|_| {
        "expected an IP address and a port, as in 0.0.0.0:8080, or a port alone".to_owned()
    })
}

impl ConfigFile {
    /// Reads the file.
    pub fn find(&self) -> Result<Text, ExitCode> {
        config::find(self.config.clone(), &Env::process()).map_err(|problems| refuse(&problems))
    }
}

impl ServiceFlags {
    /// The flags, and the environment.
    pub fn overrides(&self) -> Overrides {
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
    pub fn client(&self) -> Result<Client, ExitCode> {
        Ok(Client::new(&self.state_dir()?))
    }

    pub fn state_dir(&self) -> Result<PathBuf, ExitCode> {
        match &self.state_dir {
            Some(folder) => Ok(folder.clone()),
            None => Ok(config::state_dir(&self.file.find()?, &Env::process())),
        }
    }
}
