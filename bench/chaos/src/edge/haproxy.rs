//! HAProxy as a reasonable person would set it up in front of three containers: Docker restarts
//! them, HAProxy checks them every second and tries again elsewhere.

use super::{ANSWER_DELAY_MS, Eye, IMAGE, Replica, fetch};
use crate::docker::{self, docker};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// `timeout server` is what takes a request back from a container that says nothing: far above
/// the slowest answer, and far below what a user bears.
///
/// A POST is not sent twice, as HAProxy's manual advises and as Tidegate does it.
const GLOBAL: &str = "\
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
    /// Container and port of each, by the name that HAProxy knows.
    servers: BTreeMap<String, (String, u16)>,
    child: Option<Child>,
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

    pub async fn start(port: u16, replicas: u32) -> Result<Haproxy, String> {
        let folder = TempDir::with_prefix("chaos-").map_err(|why| why.to_string())?;
        let mut edge = Haproxy {
            address: ([127, 0, 0, 1], port + 100).into(),
            label: format!("io.tidegate.chaos={}-{port}", std::process::id()),
            servers: BTreeMap::new(),
            child: None,
            folder,
        };
        for number in 1..=replicas as u16 {
            edge.start_container(number, port + 100 + number).await?;
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
        let id = docker(&[
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
        ])
        .await?;
        self.servers.insert(format!("acts{number}"), (id, port));
        Ok(())
    }

    fn write(&self) -> Result<(), String> {
        let mut text = format!(
            "global\n    maxconn 8000\n    stats socket {} mode 600\n{GLOBAL}\
             frontend edge\n    bind {}\n    default_backend acts\n{BACKEND}",
            self.socket().display(),
            self.address,
        );
        for (name, (_, port)) in &self.servers {
            text += &format!("    server {name} 127.0.0.1:{port}\n");
        }
        fs::write(self.file(), text).map_err(|why| why.to_string())
    }

    fn spawn(&mut self) -> Result<(), String> {
        let log =
            File::create(self.folder.path().join("haproxy.log")).map_err(|why| why.to_string())?;
        let output = log.try_clone().map_err(|why| why.to_string())?;
        let child = command()
            .arg("-db")
            .arg("-f")
            .arg(self.file())
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|why| format!("starting haproxy: {why}; scripts/setup --bench installs it"))?;
        self.child = Some(child);
        Ok(())
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
        if let Some(mut child) = self.child.take() {
            let _ = child.start_kill();
        }
        docker::remove_all(&self.label);
    }
}

/// A server counts when HAProxy sends it requests and it answers one: HAProxy alone may not have
/// noticed yet.
pub async fn look(
    socket: &Path,
    servers: &BTreeMap<String, (String, u16)>,
) -> Option<Vec<Replica>> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    stream.write_all(b"show stat\n").await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.trim_start_matches("# ").split(',').collect();
    let column = |name| names.iter().position(|found| *found == name);
    let (service, status) = (column("svname")?, column("status")?);
    let mut replicas = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let Some((id, port)) = fields.get(service).and_then(|name| servers.get(*name)) else {
            continue;
        };
        let up = fields
            .get(status)
            .is_some_and(|status| status.starts_with("UP"));
        let address = ([127, 0, 0, 1], *port).into();
        let ready = up && matches!(fetch(address, "GET", "/api/v1/_count").await, Ok((200, _)));
        replicas.push(Replica {
            id: id.clone(),
            port: *port,
            ready,
        });
    }
    Some(replicas)
}
