//! What a container is made from.

use super::secrets::secrets;
use super::value::{self, Fault, port, text};
use crate::config::error::At;
use crate::config::raw::{self, Scalar};
use crate::config::shape::kind;
use crate::config::source::Env;
use crate::service::spec::Template;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

const FIRST_PORT: u16 = 8000;
const PORT: u16 = 80;
/// Docker's own lower limit.
const MEMORY_BYTES_MIN: u64 = 6 << 20;
const MEMORY_BYTES_MAX: u64 = 1 << 50;
/// Docker accepts no less than a hundredth of a core.
const CPUS_MIN: f64 = 0.01;
const CPUS_MAX: f64 = 1024.0;

pub fn first_port(at: &At<'_>, raw: &raw::Service) -> Option<u16> {
    at.read("first_port", raw.first_port.as_ref(), FIRST_PORT, port)
}

/// `None` when there was a problem; every one is reported.
pub fn template(
    at: &At<'_>,
    raw: &mut raw::Service,
    first_port: Option<u16>,
    env: &Env,
) -> Option<Template> {
    let image = at.optional("image", raw.image.as_ref(), image_name);
    let port_inside = at.read("port", raw.port.as_ref(), PORT, port);
    let command = words(&at.key("command"), raw.command.take());
    let entrypoint = words(&at.key("entrypoint"), raw.entrypoint.take());
    let mut environment = environment(&at.key("environment"), raw.environment.take(), env);
    let secrets = secrets(&at.key("secrets"), raw.secrets.take(), &mut environment);
    let volumes = volumes(&at.key("volumes"), raw.volumes.take());
    let networks = networks(&at.key("networks"), raw.networks.take());
    let user = at.optional("user", raw.user.as_ref(), user);
    let nano_cpus = at.optional("cpus", raw.cpus.as_ref(), nano_cpus);
    let memory = value::size(MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX);
    let memory = at.optional("memory", raw.memory.as_ref(), memory);
    Some(Template {
        image: image?,
        image_id: None,
        port: port_inside?,
        first_port: first_port?,
        command,
        entrypoint,
        environment: environment.into(),
        secrets,
        volumes,
        networks,
        user,
        nano_cpus,
        memory_bytes: memory.map(|bytes| bytes as i64),
    })
}

pub fn image_name(typed: &Scalar) -> Result<String, Fault> {
    let image = text(typed)?;
    let message = format!("expected an image, found `{image}`");
    if image.contains("://") {
        let hint = "leave the scheme out, as in `registry.example.com/team/web:1.2`";
        return Err(Fault::hint(message, hint));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let has_gap = image.split('/').any(str::is_empty);
    if !image.chars().all(is_plain) || has_gap || image.ends_with([':', '@']) {
        let hint = "as in `web`, `web:1.2` or `registry.example.com/team/web:1.2`";
        return Err(Fault::hint(message, hint));
    }
    let (registry, name) = image.rsplit_once('/').unwrap_or(("", &image));
    let name = name.split([':', '@']).next().unwrap_or_default();
    if name.contains(|c: char| c.is_ascii_uppercase()) {
        let slash = if registry.is_empty() { "" } else { "/" };
        let rest = &image[registry.len() + slash.len() + name.len()..];
        let hint = format!(
            "names of images are lower case: `{registry}{slash}{}{rest}`",
            name.to_ascii_lowercase()
        );
        return Err(Fault::hint(message, hint));
    }
    Ok(image)
}

/// A command line, as text that is split like a shell does or as a list.
fn words(at: &At<'_>, typed: Option<Value>) -> Option<Vec<String>> {
    let words: Vec<String> = match typed? {
        Value::Sequence(items) => texts(at, items).into_iter().map(|(_, word)| word).collect(),
        Value::Mapping(_) => {
            at.error("expected text or a list, found a mapping");
            return None;
        }
        value => {
            let line = at.scalar(&value)?.to_string();
            match shell_words::split(&line) {
                Ok(words) => words,
                Err(_) => {
                    at.error_hint(
                        format!("a quote is opened and not closed in `{line}`"),
                        "close it, or write a list",
                    );
                    return None;
                }
            }
        }
    };
    if words.is_empty() {
        at.error_hint("is empty", "leave it out to use what the image says");
        return None;
    }
    Some(words)
}

/// The single values of a list, each with its place.
fn texts<'a>(at: &At<'a>, items: Vec<Value>) -> Vec<(At<'a>, String)> {
    let one = |(index, item)| {
        let at = at.index(index);
        let text = at.scalar(&item)?.to_string();
        // A word that looks like a number stays as it was typed.
        let text = at.text().map_or(text, str::to_owned);
        Some((at, text))
    };
    items.into_iter().enumerate().filter_map(one).collect()
}

fn environment(at: &At<'_>, typed: Option<Value>, env: &Env) -> BTreeMap<String, String> {
    let pairs: Vec<(At<'_>, String, Option<String>)> = match typed {
        None => Vec::new(),
        Some(Value::Mapping(entries)) => entries
            .into_iter()
            .filter_map(|(key, value)| {
                let key = key.as_str()?.to_owned();
                let at = at.key(&key);
                if value.is_null() {
                    return Some((at, key, None));
                }
                let text = at.scalar(&value)?.to_string();
                // `1.10` is a version here, not the number 1.1.
                let text = at.text().map_or(text, str::to_owned);
                Some((at, key, Some(text)))
            })
            .collect(),
        Some(Value::Sequence(items)) => texts(at, items)
            .into_iter()
            .map(|(at, item)| match item.split_once('=') {
                Some((key, value)) => (at, key.to_owned(), Some(value.to_owned())),
                None => (at, item, None),
            })
            .collect(),
        Some(other) => {
            at.error_hint(
                // It may hold a secret, so it is not said again.
                format!("expected a mapping, found {}", kind(&other)),
                "write `environment: { KEY: value }`",
            );
            Vec::new()
        }
    };
    let mut environment = BTreeMap::new();
    for (at, key, value) in pairs {
        if key.is_empty() || key.contains(['=', '\0']) || key.contains(char::is_whitespace) {
            // Behind a gap there may be a value.
            let name = match value {
                Some(_) => &key,
                None => key.split(char::is_whitespace).next().unwrap_or_default(),
            };
            at.error(format!("`{name}` cannot be the name of a variable"));
            continue;
        }
        let Some(value) = value.or_else(|| env.get(&key)) else {
            at.error_hint(
                format!("`{key}` has no value here, nor in Tidegate's own environment"),
                format!("set `{key}` before Tidegate starts, or write a value (`\"\"` for none)"),
            );
            continue;
        };
        if value.contains('\0') {
            at.error(format!("the value of `{key}` has a NUL character in it"));
            continue;
        }
        match environment.entry(key) {
            Entry::Vacant(free) => {
                free.insert(value);
            }
            Entry::Occupied(taken) => at.error(format!("`{}` is given twice", taken.key())),
        }
    }
    environment
}

fn volumes(at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<String> {
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
fn volume(typed: &str) -> Result<(String, String), Fault> {
    let form = "write `name:/path`, `/host/path:/path` or either with `:ro`";
    let message = format!("expected a volume, found `{typed}`");
    let parts: Vec<&str> = typed.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [source, target] => (*source, *target, None),
        [source, target, mode] => (*source, *target, Some(*mode)),
        [path] if path.starts_with('/') => {
            let hint = format!("name it, so that replicas share it: `data:{path}`");
            return Err(Fault::hint(message, hint));
        }
        _ => return Err(Fault::hint(message, form)),
    };
    if source.starts_with(['.', '~']) {
        let hint = "write the path on the host in full: `/srv/data:/data`";
        return Err(Fault::hint(message, hint));
    }
    if !source.starts_with('/') && !is_docker_name(source) {
        let hint = "names of volumes have letters, digits, `_`, `.` and `-` in them";
        return Err(Fault::hint(message, hint));
    }
    if !target.starts_with('/') {
        let hint = format!("the path inside the container begins with a slash: `/{target}`");
        return Err(Fault::hint(message, hint));
    }
    if target.trim_end_matches('/').is_empty() {
        let hint = "a volume cannot take the place of the container's whole file system";
        return Err(Fault::hint(message, hint));
    }
    if !matches!(mode, None | Some("ro" | "rw")) {
        let hint = "the third part is `ro` or `rw`";
        return Err(Fault::hint(message, hint));
    }
    let target = target.trim_end_matches('/').to_owned();
    Ok((typed.to_owned(), target))
}

fn networks(at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<String> {
    let mut networks: Vec<String> = Vec::new();
    for (at, network) in texts(at, typed.unwrap_or_default()) {
        if matches!(network.as_str(), "host" | "none") || network.starts_with("container:") {
            at.error_hint(
                format!("replicas cannot run on the network `{network}`"),
                "each needs an address of its own: name a bridge network",
            );
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

fn is_docker_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(is_plain)
}

fn user(typed: &Scalar) -> Result<String, Fault> {
    let user = text(typed)?;
    if user.contains(char::is_whitespace) || user.split(':').count() > 2 {
        return Err(Fault::hint(
            format!("expected a user, found `{user}`"),
            "as in `app`, `1000` or `1000:1000`",
        ));
    }
    Ok(user)
}

fn nano_cpus(typed: &Scalar) -> Result<i64, Fault> {
    let cpus = typed.to_string().trim().parse::<f64>().ok();
    match cpus.filter(|cpus| (CPUS_MIN..=CPUS_MAX).contains(cpus)) {
        Some(cpus) => Ok((cpus * 1e9).round() as i64),
        None => Err(Fault::hint(
            format!("expected a number of cores from {CPUS_MIN} to {CPUS_MAX}, found `{typed}`"),
            "`0.5` is half a core",
        )),
    }
}
