//! Commands of other programs, and what to type here.

/// Hint for a command that there is not.
pub fn hint(command: &str) -> Option<&'static str> {
    Some(match command {
        "stop" | "down" | "kill" | "quit" => {
            "Ctrl-C, `kill -TERM` or `systemctl stop tidegate` ends Tidegate, which finishes its \
             requests and leaves the containers to the next start (`run --rm` removes them); \
             `tidegate scale SERVICE N` sets the number of replicas"
        }
        "start" | "up" | "serve" => "tidegate run",
        "restart" => {
            "`tidegate deploy SERVICE` rolls its image out again, `tidegate replace SERVICE PORT` \
             replaces one replica, and `tidegate run --upgrade` takes over from a running Tidegate"
        }
        "ls" | "list" | "services" => "tidegate status",
        "validate" | "lint" | "test" | "config" | "verify" => "tidegate check",
        "apply" | "sync" => "tidegate reload",
        "update" | "rollout" => "tidegate deploy SERVICE --image IMAGE",
        "rollback" => "`tidegate deploy SERVICE --image IMAGE` rolls out the image that ran before",
        "new" | "import" => "tidegate init IMAGE, or tidegate init --from compose.yaml",
        _ => return None,
    })
}
