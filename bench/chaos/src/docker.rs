//! The docker command: what an operator would type.

use std::process::{Command, Stdio};
use std::time::Duration;

/// A daemon that is still making a container shows it a moment later.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(300);
/// Rounds of removing what is left.
const ROUNDS_MAX: usize = 20;

/// What the docker command prints.
pub async fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = tokio::process::Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
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

/// Removes every container with this label, and its anonymous volumes. For a `Drop`, so it blocks.
pub fn remove_all(label: &str) {
    let filter = format!("label={label}");
    let mut clean_looks = 0;
    for _ in 0..ROUNDS_MAX {
        let Ok(ids) = run(&["ps", "--all", "--quiet", "--filter", &filter]) else {
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
            let _ = run(&remove);
        }
        std::thread::sleep(LOOK_AGAIN_AFTER);
    }
    eprintln!("chaos: some containers may be left; see: docker ps --all --filter {filter}");
}

fn run(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|why| why.to_string())?;
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}
