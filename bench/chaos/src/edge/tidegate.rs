//! The program under test, with a folder, an instance and ports of its own.

use super::{ANSWER_DELAY_MS, Eye, IMAGE, Replica, fetch};
use crate::docker;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const SERVICE: &str = "acts";
/// It has 60 s for what is in flight, and nothing here takes as long.
const LEAVES_WITHIN: Duration = Duration::from_secs(30);
const RELOADS_WITHIN: Duration = Duration::from_secs(10);

pub struct Tidegate {
    pub address: SocketAddr,
    admin: SocketAddr,
    first_port: u16,
    binary: PathBuf,
    instance: String,
    logs_requests: bool,
    child: Option<Child>,
    folder: TempDir,
}

/// What a reload may change.
#[derive(Clone, Default)]
pub struct Wish {
    pub replicas: u32,
    /// Beside what every replica gets.
    pub environment: Option<(&'static str, &'static str)>,
}

impl Tidegate {
    pub async fn start(
        binary: &Path,
        port: u16,
        wish: &Wish,
        logs_requests: bool,
    ) -> Result<Tidegate, String> {
        let folder = TempDir::with_prefix("chaos-").map_err(|why| why.to_string())?;
        let mut edge = Tidegate {
            address: ([127, 0, 0, 1], port).into(),
            admin: ([127, 0, 0, 1], port + 1).into(),
            first_port: port + 10,
            binary: binary.to_owned(),
            instance: format!("chaos-{}-{port}", std::process::id()),
            logs_requests,
            child: None,
            folder,
        };
        edge.write(wish)?;
        edge.spawn()?;
        Ok(edge)
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
             scale: {{ min: {count}, max: {count} }}\n    environment:\n      \
             ACTS_ANSWER_DELAY_MS: \"{ANSWER_DELAY_MS}\"\n",
            self.address, self.admin, self.instance, self.first_port,
        );
        if let Some((name, value)) = wish.environment {
            text += &format!("      {name}: \"{value}\"\n");
        }
        if self.logs_requests {
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
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIDEGATE_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            // Ctrl-C is for us; what was started is told by us.
            .process_group(0)
            .kill_on_drop(true);
        if self.logs_requests {
            command.env("TIDEGATE_LOG", "tidegate=debug,warn");
        }
        command
    }

    pub fn spawn(&mut self) -> Result<(), String> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("tidegate.log"))
            .map_err(|why| why.to_string())?;
        let output = log.try_clone().map_err(|why| why.to_string())?;
        let child = self
            .command()
            .args(["run", "-c"])
            .arg(self.file())
            .stdout(output)
            .stderr(log)
            .spawn()
            .map_err(|why| format!("starting {}: {why}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Changes the file, and asks for it to be read.
    pub async fn reload(&self, wish: &Wish) -> Result<(), String> {
        self.write(wish)?;
        let mut command = self.command();
        command.arg("reload").arg("-c").arg(self.file());
        let output = timeout(RELOADS_WITHIN, command.output())
            .await
            .map_err(|_| "the reload did not come back".to_owned())?
            .map_err(|why| why.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// TERM, and it leaves when it has finished what is in flight.
    pub async fn leave(&mut self) -> Result<(), String> {
        let mut child = self.child.take().ok_or("it does not run")?;
        let id = child.id().ok_or("it had ended")?;
        kill(Pid::from_raw(id as i32), Signal::SIGTERM).map_err(|why| why.to_string())?;
        match timeout(LEAVES_WITHIN, child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(why)) => Err(why.to_string()),
            Err(_) => Err(format!(
                "it was still there {} s after TERM",
                LEAVES_WITHIN.as_secs()
            )),
        }
    }

    /// As a crash would end it.
    pub async fn kill(&mut self) -> Result<(), String> {
        let mut child = self.child.take().ok_or("it does not run")?;
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
            // It must be gone before its containers go, or it would replace them.
            while let Ok(None) = child.try_wait() {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        docker::remove_all(&format!("io.tidegate.instance={}", self.instance));
    }
}

/// What the admin API shows.
pub async fn look(admin: SocketAddr) -> Option<Vec<Replica>> {
    #[derive(Deserialize)]
    struct Service {
        replicas: Vec<Shown>,
    }
    #[derive(Deserialize)]
    struct Shown {
        id: String,
        slot: u16,
        state: String,
    }
    let path = format!("/api/v1/services/{SERVICE}");
    let Ok((200, body)) = fetch(admin, "GET", &path).await else {
        // It may be about to listen.
        sleep(Duration::from_millis(5)).await;
        return None;
    };
    let service: Service = serde_json::from_slice(&body).ok()?;
    let replica = |shown: Shown| Replica {
        id: shown.id,
        port: shown.slot,
        ready: shown.state == "ready",
    };
    Some(service.replicas.into_iter().map(replica).collect())
}
