//! A private Docker engine, which may be killed; the machine's own is never touched.
//!
//! The daemon has its folder, its socket, its bridge, and no rule in the machine's packet filter,
//! so that published ports are served by Docker's own proxy.

use crate::docker::Docker;
use crate::edge::IMAGE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// Without live-restore it stops its containers first, each of which has 10 s.
const ENDS_WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOG_SHOWN: usize = 10;

pub struct Engine {
    live_restore: bool,
    bridge: String,
    child: Option<Child>,
    /// As on most machines, it is a service of its own and outlives dockerd.
    containerd: Option<Child>,
    folder: TempDir,
}

impl Engine {
    /// Starts it, with the image of the example service.
    pub async fn start(live_restore: bool) -> Result<Engine, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("an engine of our own needs root".to_owned());
        }
        let folder = TempDir::with_prefix("chaos-").map_err(|why| why.to_string())?;
        let mut engine = Engine {
            live_restore,
            bridge: format!("chaos{}", std::process::id() % 100_000),
            child: None,
            containerd: None,
            folder,
        };
        engine.make_bridge()?;
        fs::write(engine.path("daemon.json"), "{}").map_err(|why| why.to_string())?;
        engine.spawn_containerd()?;
        engine.spawn().await?;
        let tar = engine.path("image.tar");
        let tar = tar.to_str().ok_or("a strange temporary folder")?;
        Docker::default().run(&["save", "-o", tar, IMAGE]).await?;
        engine.docker().run(&["load", "-i", tar]).await?;
        let _ = fs::remove_file(tar);
        Ok(engine)
    }

    pub fn docker(&self) -> Docker {
        Docker::at(&self.path("docker.sock"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make_bridge(&self) -> Result<(), String> {
        let bridge = self.bridge.as_str();
        // A run that was killed may have left one behind.
        let _ = ip(&["link", "delete", bridge]);
        ip(&["link", "add", bridge, "type", "bridge"])?;
        // Of the range for tests of network devices (RFC 2544).
        ip(&["address", "add", "198.18.77.1/24", "dev", bridge])?;
        ip(&["link", "set", bridge, "up"])
    }

    fn spawn_containerd(&mut self) -> Result<(), String> {
        let file = self.path("containerd.toml");
        let without_kubernetes =
            "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        fs::write(&file, without_kubernetes).map_err(|why| why.to_string())?;
        let mut command = Command::new("containerd");
        command
            .arg("--config")
            .arg(file)
            .arg("--root")
            .arg(self.path("containerd"))
            .arg("--state")
            .arg(self.path("containerd-state"))
            .arg("--address")
            .arg(self.path("containerd.sock"));
        self.containerd = Some(self.spawned(command, "containerd.log")?);
        Ok(())
    }

    fn spawned(&self, mut command: Command, log: &str) -> Result<Child, String> {
        let name = command.as_std().get_program().to_owned();
        let mut start = || {
            let log = OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.path(log))?;
            let output = log.try_clone()?;
            command
                .stdin(Stdio::null())
                .stdout(output)
                .stderr(log)
                .process_group(0)
                .spawn()
        };
        start().map_err(|why| format!("starting {}: {why}", name.display()))
    }

    /// Starts it, and waits until it answers.
    pub async fn spawn(&mut self) -> Result<(), String> {
        let mut command = Command::new("dockerd");
        for (name, path) in [
            ("config-file", "daemon.json"),
            ("data-root", "data"),
            ("exec-root", "exec"),
            ("pidfile", "dockerd.pid"),
            ("containerd", "containerd.sock"),
        ] {
            command.arg(format!("--{name}={}", self.path(path).display()));
        }
        let socket = self.path("docker.sock");
        command.args([
            format!("--host=unix://{}", socket.display()),
            format!("--bridge={}", self.bridge),
            format!("--live-restore={}", self.live_restore),
            "--iptables=false".to_owned(),
            "--ip6tables=false".to_owned(),
            "--ip-masq=false".to_owned(),
            "--ip-forward=false".to_owned(),
        ]);
        self.child = Some(self.spawned(command, "dockerd.log")?);
        let deadline = Instant::now() + ANSWERS_WITHIN;
        let docker = self.docker();
        while docker.run(&["version"]).await.is_err() {
            let ended = self
                .child
                .as_mut()
                .is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
            if ended || Instant::now() > deadline {
                return Err(format!("dockerd does not answer: {}", self.log()));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// TERM or KILL, and waits for its end.
    pub async fn end(&mut self, signal: Signal) -> Result<(), String> {
        let mut child = self.child.take().ok_or("the engine does not run")?;
        let id = child.id().ok_or("the engine had ended")?;
        kill(Pid::from_raw(id as i32), signal).map_err(|why| why.to_string())?;
        match timeout(ENDS_WITHIN, child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(why.to_string()),
            Err(_) => Err(format!("dockerd did not end: {}", self.log())),
        }
    }

    /// The end of it.
    fn log(&self) -> String {
        let log = fs::read_to_string(self.path("dockerd.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_SHOWN)..].join("\n")
    }

    pub fn keep_logs(&self, folder: &Path) -> std::io::Result<()> {
        fs::copy(self.path("dockerd.log"), folder.join("dockerd.log"))?;
        Ok(())
    }
}

/// TERM, and KILL when that is not enough. For a `Drop`, so it blocks.
fn end_now(child: Option<Child>) {
    let Some(mut child) = child else {
        return;
    };
    if let Some(id) = child.id() {
        let _ = kill(Pid::from_raw(id as i32), Signal::SIGTERM);
    }
    let deadline = std::time::Instant::now() + ENDS_WITHIN;
    while let Ok(None) = child.try_wait() {
        if std::time::Instant::now() > deadline {
            let _ = child.start_kill();
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // With live-restore, containers outlive their engine.
        let docker = self.docker();
        if let Ok(ids) = docker.wait(&["ps", "--all", "--quiet"]) {
            for id in ids.lines() {
                let _ = docker.wait(&["rm", "--force", "--volumes", id]);
            }
        } else {
            kill_shims(&self.path("containerd.sock"));
        }
        end_now(self.child.take());
        end_now(self.containerd.take());
        let _ = ip(&["link", "delete", &self.bridge]);
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let ours = self.folder.path().display().to_string();
        for line in mounts.lines().rev() {
            let path = line.split(' ').nth(1).unwrap_or_default();
            if path.starts_with(&ours) {
                let _ = std::process::Command::new("umount")
                    .args(["--lazy", path])
                    .status();
            }
        }
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = std::process::Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("running ip: {why}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// Ends the containers of a containerd whose dockerd does not answer: whatever the processes that
/// hold them, which name its socket, have begun.
fn kill_shims(socket: &Path) {
    let socket = socket.display().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let path = process.path();
        let says = fs::read_to_string(path.join("cmdline")).unwrap_or_default();
        let mut words = says.split('\0');
        let is_shim = words
            .next()
            .is_some_and(|name| name.contains("containerd-shim"));
        if !is_shim || !words.any(|word| word == socket) {
            continue;
        }
        let name = process.file_name();
        let children = path.join("task").join(&name).join("children");
        let children = fs::read_to_string(children).unwrap_or_default();
        let shim = name.to_string_lossy();
        for id in children.split_whitespace().chain([shim.as_ref()]) {
            if let Ok(id) = id.parse() {
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
    }
}
