//! HAProxy as a reasonable person would set it up in front of three containers: Docker restarts
//! them, HAProxy checks them every second and tries again elsewhere.

use super::eye::Eye;
use super::held::Held;
use super::replica::{ANSWER_DELAY_MS, IMAGE};
use super::setup::Setup;
use super::statistics::ask;
use crate::docker::Docker;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const ENDS_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// `timeout server` is what takes a request back from a container that says nothing: far above
/// the slowest answer, and far below what a user bears.
///
/// A POST is not sent twice, as HAProxy's manual advises and as Tidegate does it.
const DEFAULTS: &str = "\
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 5s
    timeout check 1s
    timeout queue 10s
    timeout http-keep-alive 60s
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response response-timeout
";
const BACKEND: &str = "\
backend acts
    balance roundrobin
    option httpchk GET /api/v1/_health
    http-check expect status 200
    http-request disable-l7-retry if METH_POST
    default-server check inter 1s fall 1 rise 1
";

pub struct Haproxy {
    pub address: SocketAddr,
    label: String,
    docker: Docker,
    /// Container and port of each, by the name that HAProxy knows.
    servers: BTreeMap<String, (String, u16)>,
    held: Option<Held>,
    child: Option<Child>,
    /// They finish what they have.
    old: Vec<Child>,
    folder: TempDir,
}

impl Haproxy {
    /// As in `HAProxy 2.6.12`.
    pub async fn version() -> Result<String, String> {
        let output = command().arg("-v").output().await.map_err(|why| {
            format!("starting haproxy: {why}\n  hint: `scripts/setup --bench` installs it")
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().nth(2).unwrap_or("?");
        let version = version.split('-').next().unwrap_or(version);
        Ok(format!("HAProxy {version}"))
    }

    pub async fn start(setup: Setup) -> Result<Haproxy, String> {
        let folder = TempDir::with_prefix("chaos-").map_err(|why| why.to_string())?;
        let port = setup.port + 100;
        let address = ([127, 0, 0, 1], port).into();
        let held = setup.held.then(|| Held::bind(address)).transpose();
        let mut edge = Haproxy {
            address,
            label: format!("io.tidegate.chaos={}-{port}", std::process::id()),
            docker: setup.docker,
            servers: BTreeMap::new(),
            held: held.map_err(|why| format!("holding {address}: {why}"))?,
            child: None,
            old: Vec::new(),
            folder,
        };
        for number in 1..=setup.replicas as u16 {
            edge.start_container(number, port + number).await?;
        }
        edge.write()?;
        edge.spawn()?;
        Ok(edge)
    }

    pub fn eye(&self) -> Eye {
        Eye::Statistics {
            socket: self.socket(),
            servers: self.servers.clone(),
        }
    }

    async fn start_container(&mut self, number: u16, port: u16) -> Result<(), String> {
        let run = [
            "run",
            "--detach",
            "--restart",
            "always",
            "--label",
            &self.label,
            "--publish",
            &format!("127.0.0.1:{port}:80"),
            "--env",
            &format!("ACTS_ANSWER_DELAY_MS={ANSWER_DELAY_MS}"),
            IMAGE,
        ];
        let id = self.docker.run(&run).await?;
        self.servers.insert(format!("acts{number}"), (id, port));
        Ok(())
    }

    fn write(&self) -> Result<(), String> {
        let bind = match &self.held {
            Some(_) => "fd@3".to_owned(),
            None => self.address.to_string(),
        };
        let mut text = format!(
            "global\n    maxconn 8000\n    hard-stop-after 60s\n    \
             stats socket {} mode 600 level admin expose-fd listeners\n{DEFAULTS}\
             frontend edge\n    bind {bind}\n    default_backend acts\n{BACKEND}",
            self.socket().display(),
        );
        for (name, (_, port)) in &self.servers {
            text += &format!("    server {name} 127.0.0.1:{port}\n");
        }
        fs::write(self.file(), text).map_err(|why| why.to_string())
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
                .open(self.folder.path().join("haproxy.log"))?;
            let output = log.try_clone()?;
            let mut command = command();
            command
                .arg("-db")
                .arg("-f")
                .arg(self.file())
                .args(arguments);
            command.stdin(Stdio::null());
            if let Some(held) = &self.held {
                command = held.pass_to(&command)?;
            }
            command
                .stdout(output)
                .stderr(log)
                .process_group(0)
                .kill_on_drop(true)
                .spawn()
        };
        start().map_err(|why: std::io::Error| {
            format!("starting haproxy: {why}; scripts/setup --bench installs it")
        })
    }

    /// As `systemctl reload haproxy` does it: a new process gets the sockets of the old one, and
    /// tells it to finish.
    pub async fn reload(&mut self) -> Result<(), String> {
        let old = self.child.take().ok_or("HAProxy does not run")?;
        let id = old.id().ok_or("HAProxy had ended")?.to_string();
        let socket = self.socket().display().to_string();
        let new = self.spawned(&["-x", &socket, "-sf", &id])?;
        let pid = format!("Pid: {}", new.id().ok_or("the new one ended at once")?);
        self.child = Some(new);
        self.old.push(old);
        self.old
            .retain_mut(|old| matches!(old.try_wait(), Ok(None)));
        let answers = async {
            while !ask(&self.socket(), "show info\n")
                .await
                .is_some_and(|info| info.lines().any(|line| line == pid))
            {
                sleep(LOOK_EVERY).await;
            }
        };
        let answers = timeout(ENDS_WITHIN, answers).await;
        answers.map_err(|_| format!("HAProxy was not reloaded; its log:\n{}", self.log()))
    }

    /// USR1: it finishes what it has.
    pub async fn leave(&mut self) -> Result<(), String> {
        let mut child = self.child.take().ok_or("HAProxy does not run")?;
        let id = child.id().ok_or("HAProxy had ended")?;
        kill(Pid::from_raw(id as i32), Signal::SIGUSR1).map_err(|why| why.to_string())?;
        match timeout(ENDS_WITHIN, child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(format!("HAProxy still ran {ENDS_WITHIN:?} after USR1")),
        }
    }

    pub async fn kill(&mut self) -> Result<(), String> {
        let mut child = self.child.take().ok_or("HAProxy does not run")?;
        child.kill().await.map_err(|why| why.to_string())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("haproxy.cfg")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("haproxy.sock")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("haproxy.log")).unwrap_or_default()
    }

    pub fn keep_logs(&self, folder: &Path) -> std::io::Result<()> {
        for name in ["haproxy.log", "haproxy.cfg"] {
            fs::copy(self.folder.path().join(name), folder.join(name))?;
        }
        Ok(())
    }
}

/// Debian keeps it where only root's shell looks.
fn command() -> Command {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut command = Command::new("haproxy");
    command.env("PATH", path);
    command
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        for mut child in self.old.drain(..).chain(self.child.take()) {
            let _ = child.start_kill();
        }
        self.docker.remove_all(&self.label);
    }
}
