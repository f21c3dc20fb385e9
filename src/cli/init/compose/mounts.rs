//! Volumes and networks.

use super::project::Project;
use crate::cli::init::draft::{DraftService, list};
use crate::cli::init::yaml::{items, names_of, text_of};
use serde_yaml::{Mapping, Value};

/// Sets `volumes`; returns whether the service may write to any.
pub fn volumes(keys: &Mapping, project: &Project<'_>, service: &mut DraftService) -> bool {
    let mut kept = Vec::new();
    let (mut writes, mut is_named) = (false, false);
    for volume in items(keys, "volumes") {
        let (source, target, mode) = match volume {
            Value::Mapping(long) => {
                let text = |key: &str| long.get(key).map(text_of).unwrap_or_default();
                let is_kept = ["volume", "bind"].contains(&text("type").as_str());
                let read_only = text("read_only") == "true";
                let source = if is_kept {
                    text("source")
                } else {
                    String::new()
                };
                (
                    source,
                    text("target"),
                    if read_only { "ro" } else { "" }.to_owned(),
                )
            }
            short => {
                let short = text_of(short);
                let mut parts = short.splitn(3, ':').map(str::to_owned);
                let first = parts.next().unwrap_or_default();
                match parts.next() {
                    None => (String::new(), first, String::new()),
                    Some(target) => (first, target, parts.next().unwrap_or_default()),
                }
            }
        };
        if source.is_empty() {
            service.remarks.push(format!(
                "not translated: the volume at {target}; give it a name, as in `data:{target}`"
            ));
            continue;
        }
        let source = project.volume(&source);
        is_named |= !source.starts_with('/');
        let reads_only = mode.split(',').any(|mode| mode == "ro");
        // A socket, as Docker's, is not shared by writing to it.
        writes |= !reads_only && !source.ends_with(".sock");
        let mode = if reads_only { ":ro" } else { "" };
        kept.push(format!("{source}:{target}{mode}"));
    }
    if !kept.is_empty() {
        let why = match is_named {
            true => "every replica shares them; the names are Compose's, so their data stays",
            false => "shared by every replica",
        };
        service.set("volumes", list(&kept), why);
    }
    writes
}

/// Sets `networks`. `first`: the one that clients come in by.
pub fn networks(
    keys: &Mapping,
    project: &Project<'_>,
    first: Option<&str>,
    service: &mut DraftService,
) {
    let named = keys.get("networks").map(names_of).unwrap_or_default();
    let mut networks: Vec<String> = named.iter().map(|name| project.network(name)).collect();
    if let Some(first) = first {
        networks.retain(|name| name != first);
        networks.insert(0, first.to_owned());
    }
    if !networks.is_empty() {
        service.set(
            "networks",
            list(&networks),
            "named as in `docker network ls`",
        );
    }
}
