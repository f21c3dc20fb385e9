//! Settings that widen or narrow what a container may do: capabilities, devices, kernel limits.

use super::pairs::pairs;
use super::value::{ValueError, text, texts};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use crate::config::text::{read, reason_unreadable};
use crate::service::spec::{Device, GpuRequest, Ulimit};
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeMap;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UlimitKeys {
    pub soft: Option<Scalar>,
    pub hard: Option<Scalar>,
}

impl Shape for UlimitKeys {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuKeys {
    pub driver: Option<Scalar>,
    pub count: Option<Scalar>,
    pub device_ids: Option<Vec<Value>>,
    pub capabilities: Option<Vec<Value>>,
}

impl Shape for GpuKeys {}

/// Names of capabilities, as the kernel has them.
pub fn capabilities(at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (at, typed) in texts(at, typed.unwrap_or_default()) {
        let name = typed.to_ascii_uppercase();
        let plain = name.strip_prefix("CAP_").unwrap_or(&name);
        let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
        if plain.is_empty() || !plain.chars().all(is_name) {
            at.error_hint(
                format!("expected a capability, found `{typed}`"),
                "as in `NET_ADMIN`, or `ALL`",
            );
        } else if found.iter().any(|other| other == plain) {
            at.error(format!("`{typed}` is listed twice"));
        } else {
            found.push(plain.to_owned());
        }
    }
    found
}

/// Options of the kernel's security modules.
pub fn security_opt(at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<String> {
    let mut found = Vec::new();
    for (at, typed) in texts(at, typed.unwrap_or_default()) {
        let (name, value) = typed.split_once(['=', ':']).unwrap_or((&typed, ""));
        match (name, value) {
            // Every container has it.
            ("no-new-privileges", "" | "true") => {}
            ("no-new-privileges", _) => at.error_hint(
                "no container of Tidegate gains new privileges",
                "leave it out, and start the program with the rights that it needs: `user`, `cap_add`",
            ),
            ("seccomp", profile) if !["", "unconfined", "builtin"].contains(&profile) => {
                let path = at.folder().join(profile);
                match read(&path) {
                    Ok(profile) => found.push(format!("seccomp={}", profile.content)),
                    Err(error) => at.error(format!(
                        "cannot read `{}`: {}",
                        path.display(),
                        reason_unreadable(&error)
                    )),
                }
            }
            ("seccomp" | "apparmor" | "label" | "systempaths", value) if !value.is_empty() => {
                found.push(format!("{name}={value}"));
            }
            _ => at.error_hint(
                format!("expected a security option, found `{typed}`"),
                "as in `seccomp=profile.json`, `apparmor=NAME` or `label=type:NAME`",
            ),
        }
    }
    found
}

/// Devices of the host.
pub fn devices(at: &At<'_>, typed: Option<Vec<Value>>) -> Vec<Device> {
    let one = |(at, typed): (At<'_>, String)| {
        let parts: Vec<&str> = typed.split(':').collect();
        let is_mode = |part: &str| !part.is_empty() && part.chars().all(|c| "rwm".contains(c));
        let (host, container, permissions) = match parts.as_slice() {
            [host] => (*host, *host, "rwm"),
            [host, mode] if is_mode(mode) => (*host, *host, *mode),
            [host, container] => (*host, *container, "rwm"),
            [host, container, mode] if is_mode(mode) => (*host, *container, *mode),
            _ => ("", "", ""),
        };
        if !host.starts_with('/') || !container.starts_with('/') {
            at.error_hint(
                format!("expected a device, found `{typed}`"),
                "as in `/dev/fuse`, `/dev/sda:/dev/xvda` or `/dev/sda:/dev/xvda:r`",
            );
            return None;
        }
        Some(Device {
            host: host.to_owned(),
            container: container.to_owned(),
            permissions: permissions.to_owned(),
        })
    };
    let devices = texts(at, typed.unwrap_or_default()).into_iter();
    devices.filter_map(one).collect()
}

/// GPUs: `all`, a number, or requests by name.
pub fn gpus(at: &At<'_>, typed: Option<Value>) -> Vec<GpuRequest> {
    let plain = |count| GpuRequest {
        count,
        capabilities: vec!["gpu".to_owned()],
        ..GpuRequest::default()
    };
    match typed {
        None => Vec::new(),
        Some(Value::Sequence(items)) => {
            let items = items.into_iter().enumerate();
            let requests = items.filter_map(|(index, item)| gpu(&at.index(index), item));
            requests.collect()
        }
        Some(one) => {
            let count = at
                .scalar(&one)
                .and_then(|typed| at.accept(gpu_count(&typed)));
            count.map(plain).into_iter().collect()
        }
    }
}

fn gpu(at: &At<'_>, typed: Value) -> Option<GpuRequest> {
    if !typed.is_mapping() {
        at.error_hint(
            format!("expected a mapping, found {}", what(&typed)),
            "as in `{ driver: nvidia, count: 1 }`",
        );
        return None;
    }
    let keys: GpuKeys = at.shape(typed);
    let names = |key: &str, typed: Option<Vec<Value>>| {
        let names = texts(&at.key(key), typed.unwrap_or_default());
        names.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
    };
    let device_ids = names("device_ids", keys.device_ids);
    let mut capabilities = names("capabilities", keys.capabilities);
    if !capabilities.iter().any(|name| name == "gpu") {
        capabilities.push("gpu".to_owned());
    }
    if keys.count.is_some() && !device_ids.is_empty() {
        at.error_on(
            &["count"],
            "`count` and `device_ids` exclude each other".to_owned(),
            "keep one of the two".to_owned(),
        );
        return None;
    }
    let all = if device_ids.is_empty() { -1 } else { 0 };
    Some(GpuRequest {
        driver: at.optional("driver", keys.driver.as_ref(), text),
        count: at.read("count", keys.count.as_ref(), all, gpu_count)?,
        device_ids,
        capabilities,
    })
}

fn gpu_count(typed: &Scalar) -> Result<i64, ValueError> {
    let shown = typed.to_string();
    match shown.parse::<u16>() {
        _ if shown == "all" => Ok(-1),
        Ok(count) if count > 0 => Ok(i64::from(count)),
        _ => Err(ValueError::hint(
            format!("expected `all` or a number of GPUs, found `{shown}`"),
            "as in `gpus: all`, or a list of `{ driver: nvidia, count: 1 }`",
        )),
    }
}

/// Limits of a process, each one number or a pair.
pub fn ulimits(at: &At<'_>, typed: Option<Value>) -> BTreeMap<String, Ulimit> {
    let mut found = BTreeMap::new();
    let entries = match typed {
        None => return found,
        Some(Value::Mapping(entries)) => entries,
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                "as in `{ nofile: 65536 }`",
            );
            return found;
        }
    };
    for (name, value) in entries {
        let name = name.as_str().unwrap_or_default().to_owned();
        let at = at.key(&name);
        let (soft, hard) = match value {
            Value::Mapping(_) => {
                let keys: UlimitKeys = at.shape(value);
                for (key, given) in [("soft", &keys.soft), ("hard", &keys.hard)] {
                    if given.is_none() {
                        at.error(format!("`{key}` is missing"));
                    }
                }
                (
                    at.optional("soft", keys.soft.as_ref(), limit),
                    at.optional("hard", keys.hard.as_ref(), limit),
                )
            }
            value => {
                let one = at.scalar(&value);
                let one = one.and_then(|typed| at.accept(limit(&typed)));
                (one, one)
            }
        };
        let Some((soft, hard)) = soft.zip(hard) else {
            continue;
        };
        if hard != -1 && (soft == -1 || soft > hard) {
            at.error(format!("`soft` is {soft} but `hard` is {hard}"));
            continue;
        }
        found.insert(name, Ulimit { soft, hard });
    }
    found
}

/// A number from 0, or `-1` for no limit.
fn limit(typed: &Scalar) -> Result<i64, ValueError> {
    let shown = typed.to_string();
    let number = shown.trim().parse::<i64>().ok();
    number.filter(|number| *number >= -1).ok_or_else(|| {
        let message = format!("expected a whole number, or `-1` for no limit, found `{shown}`");
        ValueError::new(message)
    })
}

pub fn pids_limit(typed: &Scalar) -> Result<i64, ValueError> {
    match limit(typed)? {
        // For Docker, both mean the same.
        0 => Ok(-1),
        limit => Ok(limit),
    }
}

/// Parameters of the kernel within the container's namespaces.
pub fn sysctls(at: &At<'_>, typed: Option<Value>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (at, name, value) in pairs(at, typed) {
        if name.contains('.') && !value.is_empty() {
            found.insert(name, value);
        } else {
            at.error_hint(
                format!("expected a parameter with its value, found `{name}`"),
                "as in `net.core.somaxconn: 1024`",
            );
        }
    }
    found
}
