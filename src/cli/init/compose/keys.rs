//! Keys of a Compose service that Tidegate does not have.

use crate::cli::init::draft::DraftService;
use crate::cli::init::yaml::text_of;
use serde_yaml::Mapping;

/// Keys that are translated, or that ask for what happens anyway.
const HEEDED: &[&str] = &[
    "image",
    "ports",
    "expose",
    "command",
    "entrypoint",
    "user",
    "stop_grace_period",
    "environment",
    "env_file",
    "profiles",
    "volumes",
    "networks",
    "mem_limit",
    "cpus",
    "healthcheck",
    "deploy",
    "scale",
    "labels",
    "restart",
    "container_name",
    "pull_policy",
    "build",
];

/// Notes each key that is not translated, with advice.
pub fn mention_others(keys: &Mapping, service: &mut DraftService) {
    for key in keys.keys().map(text_of) {
        if HEEDED.contains(&key.as_str()) || key.starts_with("x-") {
            continue;
        }
        let advice = match key.as_str() {
            "secrets" => "; with `secrets: { NAME: /path/to/file }` a variable is read from a file",
            "depends_on" => "; requests wait until a replica is ready",
            "logging" => "; `tidegate logs` shows the output of replicas",
            _ => "",
        };
        service
            .remarks
            .push(format!("not translated: `{key}`{advice}"));
    }
}
