//! Replicas, limits and updates.

use crate::cli::init::defaults::{MAX, MORE, ONE_COPY};
use crate::cli::init::draft::{DraftService, DraftValue, quoted};
use crate::cli::init::yaml::{flow, text_of};
use serde_yaml::{Mapping, Value};

/// Sets what a swarm's `deploy` says; `writes`: replicas would write to the same volumes.
pub fn deploy(keys: &Mapping, writes: bool, service: &mut DraftService) {
    let deploy = keys.get("deploy");
    let get = |path: &[&str]| path.iter().try_fold(deploy?, |value, key| value.get(key));
    let replicas = get(&["replicas"]).or(keys.get("scale"));
    let replicas = replicas.and_then(Value::as_u64).unwrap_or(1).max(1);
    if replicas == 1 && writes {
        service.set("scale", "{ min: 1, max: 1 }", ONE_COPY);
    } else {
        let max = replicas.max(MAX);
        service.set("scale", format!("{{ min: {replicas}, max: {max} }}"), MORE);
    }
    for (key, path) in [("cpus", "cpus"), ("memory", "memory")] {
        if let Some(limit) = get(&["resources", "limits", path])
            && !service.has(key)
        {
            let limit = text_of(limit);
            let limit = if key == "cpus" { limit } else { quoted(&limit) };
            service.set(key, limit, "");
        }
    }
    if let Some(update) = get(&["update_config"]).and_then(Value::as_mapping) {
        let keys = update
            .iter()
            .map(|(key, value)| (text_of(key), flow(value), String::new()));
        service.insert("update_config", DraftValue::Block(keys.collect()), "");
    }
    let heeded = [
        "replicas",
        "resources",
        "update_config",
        "mode",
        "restart_policy",
        "labels",
    ];
    let keys = deploy
        .and_then(Value::as_mapping)
        .into_iter()
        .flat_map(Mapping::keys);
    for key in keys
        .map(text_of)
        .filter(|key| !heeded.contains(&key.as_str()))
    {
        service
            .remarks
            .push(format!("not translated: `deploy.{key}`"));
    }
}
