//! The docker command: what an operator would type.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A daemon that is still making a container shows it a moment later.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(300);
/// Rounds of removing what is left.
const ROUNDS_MAX: usize = 20;

/// Which engine is talked to.
#[derive(Clone, Default)]
pub struct Docker {
    /// As in `DOCKER_HOST`; `None`: the machine's own.
    pub host: Option<String>,
}

impl Docker {
    pub fn at(socket: &Path) -> Docker {
        Docker {
            host: Some(format!("unix://{}", socket.display())),
        }
    }

    /// Output of a docker command.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = tokio::process::Command::from(self.command(arguments))
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|why| format!("running docker: {why}"))?;
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(format!(
            "docker {}: {}",
            arguments.join(" "),
            text(&output.stderr)
        ))
    }

    /// Removes every container with this label, and its anonymous volumes. For a `Drop`, so it
    /// blocks.
    pub fn remove_all(&self, label: &str) {
        let filter = format!("label={label}");
        let mut clean_looks = 0;
        for _ in 0..ROUNDS_MAX {
            let Ok(ids) = self.wait(&["ps", "--all", "--quiet", "--filter", &filter]) else {
                break;
            };
            let ids: Vec<&str> = ids.lines().collect();
            if ids.is_empty() {
                clean_looks += 1;
                if clean_looks == 2 {
                    return;
                }
            } else {
                clean_looks = 0;
                let remove: Vec<&str> = ["rm", "--force", "--volumes"]
                    .into_iter()
                    .chain(ids)
                    .collect();
                let _ = self.wait(&remove);
            }
            std::thread::sleep(LOOK_AGAIN_AFTER);
        }
        eprintln!("chaos: some containers may be left; see: docker ps --all --filter {filter}");
    }

    /// The same as `run` for a `Drop`.
    pub fn wait(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self
            .command(arguments)
            .output()
            .map_err(|why| why.to_string())?;
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(arguments).stdin(Stdio::null());
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
        command
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
