//! The state of a container's process.

use crate::engine::docker::listed::Listed;
use crate::service::replica::RunState;

/// State of a listed container, by Docker's and Podman's words. `None`: it is being removed.
pub fn run_state(container: &Listed) -> Result<Option<RunState>, String> {
    Ok(Some(match container.state.as_deref().unwrap_or_default() {
        "created" | "configured" | "initialized" => RunState::Created,
        // "stopping" still runs, and its end makes an event.
        "running" | "stopping" => RunState::Running,
        "paused" => RunState::Paused,
        // "restarting" only when somebody gave it a restart policy behind our back.
        "restarting" | "exited" | "stopped" | "dead" | "" => RunState::Exited {
            code: container.status.as_deref().and_then(exit_code),
        },
        "removing" => return Ok(None),
        other => return Err(format!("its state is `{other}`, which is unknown here")),
    }))
}

/// The 137 of "Exited (137) 2 minutes ago".
fn exit_code(status: &str) -> Option<i64> {
    let (_, rest) = status.split_once('(')?;
    let (code, _) = rest.split_once(')')?;
    code.parse().ok()
}
