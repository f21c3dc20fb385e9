//! Volumes and networks of a container.

use super::value::{ValueError, texts};
use crate::config::report::At;
use crate::config::shape::what;
use serde_yaml::Value;
use std::collections::BTreeMap;

pub fn volumes(at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<String> {
    let mut targets: BTreeMap<String, usize> = BTreeMap::new();
    let mut volumes = Vec::new();
    for (index, item) in typed.unwrap_or_default().into_iter().enumerate() {
        let at = at.index(index);
        if item.is_mapping() {
            at.error_hint(
                "expected text, found a mapping",
                "write `name:/path`, `/host/path:/path` or either with `:ro`",
            );
            continue;
        }
        let volume = at.scalar(&item).map(|typed| volume(&typed.to_string()));
        let Some((volume, target)) = volume.and_then(|volume| at.accept(volume)) else {
            continue;
        };
        if let Some(first) = targets.insert(target.clone(), index) {
            at.error(format!(
                "`{target}` inside the container is taken by item {} of this list",
                first + 1
            ));
        }
        volumes.push(volume);
    }
    volumes
}

/// A volume as Docker's bind, and its path inside the container.
fn volume(typed: &str) -> Result<(String, String), ValueError> {
    let form = "write `name:/path`, `/host/path:/path` or either with `:ro`";
    let message = format!("expected a volume, found `{typed}`");
    let parts: Vec<&str> = typed.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [source, target] => (*source, *target, None),
        [source, target, mode] => (*source, *target, Some(*mode)),
        [path] if path.starts_with('/') => {
            let hint = format!("name it, so that replicas share it: `data:{path}`");
            return Err(ValueError::hint(message, hint));
        }
        _ => return Err(ValueError::hint(message, form)),
    };
    if source.starts_with(['.', '~']) {
        let hint = "write the path on the host in full: `/srv/data:/data`";
        return Err(ValueError::hint(message, hint));
    }
    if !source.starts_with('/') && !is_docker_name(source) {
        let hint = "names of volumes have letters, digits, `_`, `.` and `-` in them";
        return Err(ValueError::hint(message, hint));
    }
    if !target.starts_with('/') {
        let hint = format!("the path inside the container begins with a slash: `/{target}`");
        return Err(ValueError::hint(message, hint));
    }
    if target.trim_end_matches('/').is_empty() {
        let hint = "a volume cannot take the place of the container's whole file system";
        return Err(ValueError::hint(message, hint));
    }
    if !matches!(mode, None | Some("ro" | "rw")) {
        let hint = "the third part is `ro` or `rw`";
        return Err(ValueError::hint(message, hint));
    }
    let target = target.trim_end_matches('/').to_owned();
    Ok((typed.to_owned(), target))
}

pub fn networks(at: &At<'_>, typed: Option<Value>) -> Vec<String> {
    let mut networks: Vec<String> = Vec::new();
    let items = match typed {
        None => Vec::new(),
        Some(Value::Sequence(items)) => items,
        Some(Value::String(name)) if is_mode(&name) => {
            no_mode(at, &name);
            return networks;
        }
        Some(other) => {
            let names = match &other {
                Value::Mapping(names) => names.keys().filter_map(Value::as_str).collect(),
                other => vec![other.as_str().unwrap_or("front")],
            };
            at.error_hint(
                format!("expected a list, found {}", what(&other)),
                format!("as in `networks: [{}]`", names.join(", ")),
            );
            return networks;
        }
    };
    for (at, network) in texts(at, items) {
        if is_mode(&network) {
            no_mode(&at, &network);
        } else if !is_docker_name(&network) {
            at.error(format!("expected the name of a network, found `{network}`"));
        } else if networks.contains(&network) {
            at.error(format!("`{network}` is listed twice"));
        } else {
            networks.push(network);
        }
    }
    networks
}

/// Whether a name stands for a way to do without a network of one's own.
fn is_mode(network: &str) -> bool {
    matches!(network, "host" | "none") || network.starts_with("container:")
}

fn no_mode(at: &At<'_>, network: &str) {
    at.error_hint(
        format!("replicas cannot run on the network `{network}`"),
        "each needs an address of its own: name a bridge network",
    );
}

fn is_docker_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(is_plain)
}
