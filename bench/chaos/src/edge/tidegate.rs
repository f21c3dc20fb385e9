//! The program under test, with a folder, an instance and ports of its own.

use super::admin::SERVICE;
use super::eye::Eye;
use super::fetch::fetch;
use super::held::Held;
use super::replica::{ANSWER_DELAY_MS, IMAGE};
use super::setup::Setup;
use super::stalled::Stalled;
use crate::authority::{Authority, CERTIFICATE, KEY};
use crate::events::Over;
use crate::load::Target;
use crate::tunnels;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// Path of the program's own health check; `/` answers in any case.
const HEALTH: &str = "/api/v1/_health";
/// Comes before it in the alphabet.
pub const NEIGHBOUR: &str = "a-neighbour";
/// More than there may be starts at once.
const NEIGHBOURS: u32 = 6;
const STARTS: &str = "tidegate_container_start_duration_seconds";
/// Tidegate gives requests in flight 60 s, and nothing here takes as long.
const LEAVES_WITHIN: Duration = Duration::from_secs(30);
const RELOADS_WITHIN: Duration = Duration::from_secs(10);
const DEPLOYS_WITHIN: Duration = Duration::from_secs(120);
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Tidegate {
    pub address: SocketAddr,
    https: SocketAddr,
    admin: SocketAddr,
    first_port: u16,
    instance: String,
    setup: Setup,
    held: Option<Held>,
    stalled: Option<Stalled>,
    child: Option<Child>,
    /// Signs its certificates, with HTTPS.
    authority: Option<Box<Authority>>,
    folder: TempDir,
}

/// Settings that a reload may change.
#[derive(Clone, Default)]
pub struct Wish {
    pub replicas: u32,
    /// Beside what every replica gets.
    pub environment: Option<(&'static str, &'static str)>,
    /// Another service, which nobody asks for.
    pub neighbour: Option<Neighbour>,
}

#[derive(Clone, Copy)]
pub struct Neighbour {
    pub image: &'static str,
}

impl Tidegate {
    pub async fn start(setup: Setup) -> Result<Tidegate, String> {
        let folder = TempDir::with_prefix("chaos-").map_err(|why| why.to_string())?;
        let address = ([127, 0, 0, 1], setup.port).into();
        let https = SocketAddr::from(([127, 0, 0, 1], setup.port + 2));
        let authority = match setup.over {
            Over::H1 => None,
            Over::H2 => Some(Box::new(Authority::new()?)),
        };
        let of_client = if authority.is_some() { https } else { address };
        let held = setup.held.then(|| Held::bind(of_client)).transpose();
        let stalled = match setup.stalls {
            true => Some(Stalled::make(folder.path().join("log.pipe"))?),
            false => None,
        };
        let mut edge = Tidegate {
            address,
            https,
            admin: ([127, 0, 0, 1], setup.port + 1).into(),
            first_port: setup.port + 10,
            instance: format!("chaos-{}-{}", std::process::id(), setup.port),
            held: held.map_err(|why| format!("holding {address}: {why}"))?,
            stalled,
            setup,
            child: None,
            authority,
            folder,
        };
        if edge.authority.is_some() {
            edge.renew()?;
        }
        edge.write(&Wish {
            replicas: edge.setup.replicas,
            ..Wish::default()
        })?;
        edge.spawn()?;
        Ok(edge)
    }

    pub fn target(&self) -> Result<Target, String> {
        Ok(match &self.authority {
            None => Target {
                address: self.address,
                tls: None,
            },
            Some(authority) => Target {
                address: self.https,
                tls: Some(authority.client()?),
            },
        })
    }

    /// Puts another certificate in the place of its own.
    pub fn renew(&self) -> Result<(), String> {
        let authority = self.authority.as_ref().ok_or("it speaks no TLS")?;
        authority.write(self.folder.path())
    }

    pub fn eye(&self) -> Eye {
        Eye::Admin(self.admin)
    }

    fn write(&self, wish: &Wish) -> Result<(), String> {
        let folder = self.folder.path().display();
        let count = wish.replicas;
        let mut text = format!(
            "listen: [\"{}\"]\n\
             admin: {{ listen: \"{}\" }}\n\
             state_dir: {folder}\n\
             instance: {}\n\
             services:\n  {SERVICE}:\n    image: {IMAGE}\n    first_port: {}\n    \
             healthcheck: {{ path: {HEALTH} }}\n    \
             scale: {{ min: {count}, max: {count} }}\n    environment:\n      \
             ACTS_ANSWER_DELAY_MS: \"{ANSWER_DELAY_MS}\"\n",
            self.address, self.admin, self.instance, self.first_port,
        );
        if self.authority.is_some() {
            let tls = format!(
                "tls: {{ listen: [\"{}\"], redirect: false, \
                 certificates: [{{ cert: {CERTIFICATE}, key: {KEY} }}] }}\n",
                self.https
            );
            text.insert_str(0, &tls);
        }
        if let Some((name, value)) = wish.environment {
            text += &format!("      {name}: \"{value}\"\n");
        }
        if let Some(Neighbour { image }) = wish.neighbour {
            text += &format!(
                "  {NEIGHBOUR}:\n    image: {image}\n    first_port: {}\n    \
                 routes: [{{ path: /{NEIGHBOUR} }}]\n    \
                 scale: {{ min: {NEIGHBOURS}, max: {NEIGHBOURS} }}\n",
                self.first_port + 60,
            );
        }
        if let Some(echo) = self.setup.echo {
            text += &format!(
                "  echo:\n    addresses: [\"{echo}\"]\n    routes: [{{ path: {} }}]\n    \
                 healthcheck: {{ type: tcp }}\n",
                tunnels::PATH,
            );
        }
        if self.setup.logs_requests {
            text += &format!(
                "plugins:\n  - access-log: {{ format: json, path: {folder}/access.log }}\n"
            );
        }
        fs::write(self.file(), text).map_err(|why| format!("writing the configuration: {why}"))
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("tidegate.yaml")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.setup.tidegate);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEGATE_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(wire) = &self.setup.wire {
            command.env("DOCKER_HOST", format!("unix://{}", wire.display()));
        } else if let Some(host) = &self.setup.docker.host {
            command.env("DOCKER_HOST", host);
        }
        if self.setup.logs_requests {
            command.env("TIDEGATE_LOG", "tidegate=debug,warn");
        }
        command
    }

    pub fn spawn(&mut self) -> Result<(), String> {
        self.child = Some(self.spawned(&[])?);
        Ok(())
    }

    fn spawned(&self, arguments: &[&str]) -> Result<Child, String> {
        let start = || {
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.folder.path().join("tidegate.log"))?;
            let output = log.try_clone()?;
            let mut command = self.command();
            command.args(["run", "-c"]).arg(self.file()).args(arguments);
            if let Some(held) = &self.held {
                command = held.pass_to(&command)?;
            }
            let log = match &self.stalled {
                Some(stalled) => stalled.writer()?,
                None => log,
            };
            command
                .stdout(output)
                .stderr(log)
                // Ctrl-C is for us; what was started is told by us.
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
        };
        start().map_err(|why| format!("starting {}: {why}", self.setup.tidegate.display()))
    }

    /// Another process takes over, at once or at QUIT; returns when the old one is gone.
    pub async fn upgrade(&mut self, at_quit: bool) -> Result<(), String> {
        let mut old = self.child.take().ok_or("Tidegate does not run")?;
        let old_id = old.id().ok_or("Tidegate had ended")?;
        let how = if at_quit {
            "--upgrade=on-quit"
        } else {
            "--upgrade"
        };
        let new = self.child.insert(self.spawned(&[how])?);
        if at_quit {
            let new = new.id().ok_or("the new one ended at once")?;
            self.says(&format!("process {new} takes over at QUIT"))
                .await?;
            kill(Pid::from_raw(old_id as i32), Signal::SIGQUIT).map_err(|why| why.to_string())?;
        }
        self.says(&format!("took over from process {old_id}"))
            .await?;
        match timeout(LEAVES_WITHIN, old.wait()).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err("the old process did not end".to_owned()),
        }
    }

    async fn says(&self, words: &str) -> Result<(), String> {
        let said = async {
            while !self.log().contains(words) {
                sleep(LOOK_EVERY).await;
            }
        };
        let said = timeout(TAKES_OVER_WITHIN, said).await;
        said.map_err(|_| format!("its log does not say `{words}`"))
    }

    /// Changes the file, and asks for it to be read.
    pub async fn reload(&self, wish: &Wish) -> Result<(), String> {
        self.write(wish)?;
        self.says_yes(&["reload"], RELOADS_WITHIN).await
    }

    /// `deploy` of another image; false: it was rolled back.
    pub async fn deploy(&self, image: &str) -> Result<bool, String> {
        let deploy = ["deploy", SERVICE, "--image", image];
        match self.run(&deploy, DEPLOYS_WITHIN).await? {
            (Some(0), _) => Ok(true),
            (Some(1), _) => Ok(false),
            (_, said) => Err(format!("`tidegate deploy`: {said}")),
        }
    }

    /// From now on nobody reads what it logs.
    pub fn stall_log(&self) -> Result<(), String> {
        match &self.stalled {
            Some(stalled) => stalled.fill(),
            None => Err("its log is a file".to_owned()),
        }
    }

    pub async fn drain(&self, port: u16) -> Result<(), String> {
        let drain = ["drain", SERVICE, &port.to_string()];
        self.says_yes(&drain, DEPLOYS_WITHIN).await
    }

    async fn says_yes(&self, arguments: &[&str], within: Duration) -> Result<(), String> {
        match self.run(arguments, within).await? {
            (Some(0), _) => Ok(()),
            (code, said) => Err(format!(
                "`tidegate {}` ended with {code:?}: {said}",
                arguments.join(" ")
            )),
        }
    }

    /// A command of the program: its exit code, and what it complained of.
    async fn run(
        &self,
        arguments: &[&str],
        within: Duration,
    ) -> Result<(Option<i32>, String), String> {
        let mut command = self.command();
        command.args(arguments).arg("-c").arg(self.file());
        let output = timeout(within, command.output())
            .await
            .map_err(|_| format!("`tidegate {}` did not come back", arguments.join(" ")))?
            .map_err(|why| why.to_string())?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Ok((output.status.code(), said))
    }

    /// How many replicas have become ready, and how long that took in all.
    pub async fn starts(&self) -> Option<(f64, Duration)> {
        let (_, body) = fetch(self.admin, "GET", "/metrics").await.ok()?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let value = |what: &str| {
            let name = format!("{STARTS}_{what}{{service=\"{SERVICE}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&name))?;
            value.trim().parse::<f64>().ok()
        };
        let seconds = value("sum")?;
        Some((value("count")?, Duration::try_from_secs_f64(seconds).ok()?))
    }

    /// TERM, and it leaves when it has finished what is in flight.
    pub async fn leave(&mut self) -> Result<(), String> {
        let mut child = self.child.take().ok_or("Tidegate does not run")?;
        let id = child.id().ok_or("Tidegate had ended")?;
        kill(Pid::from_raw(id as i32), Signal::SIGTERM).map_err(|why| why.to_string())?;
        match timeout(LEAVES_WITHIN, child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(why.to_string()),
            Err(_) => Err(format!(
                "Tidegate still ran {} s after TERM",
                LEAVES_WITHIN.as_secs()
            )),
        }
    }

    /// As a crash would end it.
    pub async fn kill(&mut self) -> Result<(), String> {
        let mut child = self.child.take().ok_or("Tidegate does not run")?;
        child.kill().await.map_err(|why| why.to_string())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("tidegate.log")).unwrap_or_default()
    }

    pub fn keep_logs(&self, folder: &Path) -> std::io::Result<()> {
        for name in ["tidegate.log", "access.log", "tidegate.yaml"] {
            let from = self.folder.path().join(name);
            if from.exists() {
                fs::copy(from, folder.join(name))?;
            }
        }
        Ok(())
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.start_kill();
            // Tidegate must be gone before its containers go, or it would replace them.
            while let Ok(None) = child.try_wait() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.setup
            .docker
            .remove_all(&format!("io.tidegate.instance={}", self.instance));
    }
}
