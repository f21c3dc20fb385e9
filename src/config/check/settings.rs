//! Settings of a container that most services leave out; names and forms are Compose's.

use super::isolation;
use super::pairs::{one_or_more, pairs};
use super::value::{ValueError, boolean, size, text, texts};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use crate::service::spec::{ContainerSettings, Logging};
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

const SHM_BYTES_MIN: u64 = 4 << 10;
const SHM_BYTES_MAX: u64 = 1 << 40;
/// Prefix of the labels that Tidegate knows its containers by.
const OWN_LABELS: &str = "io.tidegate.";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsKeys {
    pub logging: Option<Value>,
    /// A mapping, or a list of `KEY=VALUE`.
    pub labels: Option<Value>,
    pub working_dir: Option<Scalar>,
    pub hostname: Option<Scalar>,
    /// A list of `NAME:ADDRESS`, or a mapping.
    pub extra_hosts: Option<Value>,
    /// Text or a list.
    pub tmpfs: Option<Value>,
    pub read_only: Option<Scalar>,
    pub cap_add: Option<Vec<Value>>,
    pub cap_drop: Option<Vec<Value>>,
    pub devices: Option<Vec<Value>>,
    pub shm_size: Option<Scalar>,
    pub init: Option<Scalar>,
    pub stop_signal: Option<Scalar>,
    pub ulimits: Option<Value>,
    /// A mapping, or a list of `KEY=VALUE`.
    pub sysctls: Option<Value>,
    pub security_opt: Option<Vec<Value>>,
    pub pids_limit: Option<Scalar>,
    /// `all`, a number, or a list of requests.
    pub gpus: Option<Value>,
}

impl Shape for SettingsKeys {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoggingKeys {
    pub driver: Option<Scalar>,
    pub options: Option<Value>,
}

impl Shape for LoggingKeys {}

/// The settings; what is wrong is reported and left out.
pub fn settings(at: &At<'_>, keys: SettingsKeys) -> ContainerSettings {
    let shm = size(SHM_BYTES_MIN..=SHM_BYTES_MAX);
    let shm = at.optional("shm_size", keys.shm_size.as_ref(), shm);
    let read_only = at.optional("read_only", keys.read_only.as_ref(), boolean);
    ContainerSettings {
        labels: labels(&at.key("labels"), keys.labels),
        working_dir: at.optional("working_dir", keys.working_dir.as_ref(), working_dir),
        hostname: at.optional("hostname", keys.hostname.as_ref(), hostname),
        extra_hosts: extra_hosts(&at.key("extra_hosts"), keys.extra_hosts),
        tmpfs: tmpfs(&at.key("tmpfs"), keys.tmpfs),
        read_only: read_only.unwrap_or_default(),
        shm_size_bytes: shm.and_then(|bytes| i64::try_from(bytes).ok()),
        init: at.optional("init", keys.init.as_ref(), boolean),
        stop_signal: at.optional("stop_signal", keys.stop_signal.as_ref(), signal),
        cap_add: isolation::capabilities(&at.key("cap_add"), keys.cap_add),
        cap_drop: isolation::capabilities(&at.key("cap_drop"), keys.cap_drop),
        security_opt: isolation::security_opt(&at.key("security_opt"), keys.security_opt),
        devices: isolation::devices(&at.key("devices"), keys.devices),
        gpus: isolation::gpus(&at.key("gpus"), keys.gpus),
        ulimits: isolation::ulimits(&at.key("ulimits"), keys.ulimits),
        sysctls: isolation::sysctls(&at.key("sysctls"), keys.sysctls),
        pids_limit: at.optional(
            "pids_limit",
            keys.pids_limit.as_ref(),
            isolation::pids_limit,
        ),
        logging: logging(&at.key("logging"), keys.logging),
    }
}

fn labels(at: &At<'_>, typed: Option<Value>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (at, name, value) in pairs(at, typed) {
        if name.is_empty() {
            at.error("a label needs a name");
        } else if name.starts_with(OWN_LABELS) {
            at.error_hint(
                format!("labels that begin with `{OWN_LABELS}` are Tidegate's own"),
                "give it another name: a restart knows its containers by them",
            );
        } else {
            labels.insert(name, value);
        }
    }
    labels
}

fn working_dir(typed: &Scalar) -> Result<String, ValueError> {
    let folder = text(typed)?;
    match folder.starts_with('/') {
        true => Ok(folder),
        false => Err(ValueError::hint(
            format!("expected a folder inside the container, found `{folder}`"),
            format!("begin with a slash: `/{folder}`"),
        )),
    }
}

fn hostname(typed: &Scalar) -> Result<String, ValueError> {
    let name = text(typed)?;
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_edge = |label: &str| label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && label.len() <= 63 && !is_edge(label) && label.bytes().all(is_plain)
    };
    match name.len() <= 253 && name.split('.').all(is_label) {
        true => Ok(name),
        false => Err(ValueError::hint(
            format!("expected a host name, found `{name}`"),
            "use letters, digits and `-`, with dots between",
        )),
    }
}

fn extra_hosts<'a>(at: &At<'a>, typed: Option<Value>) -> Vec<String> {
    let pairs = match typed {
        Some(Value::Sequence(items)) => {
            let items = texts(at, items).into_iter();
            let pair = |(at, item): (At<'a>, String)| {
                let (name, address) = item.split_once(['=', ':']).unwrap_or((&item, ""));
                (at, name.to_owned(), address.to_owned())
            };
            items.map(pair).collect()
        }
        other => pairs(at, other),
    };
    let mut hosts = Vec::new();
    for (at, name, address) in pairs {
        let plain = address.trim_start_matches('[').trim_end_matches(']');
        if name.is_empty() || plain.parse::<IpAddr>().is_err() && plain != "host-gateway" {
            at.error_hint(
                format!("expected a host with its address, found `{name}:{address}`"),
                "as in `db:10.0.0.7`, or `host.docker.internal:host-gateway` for this machine",
            );
            continue;
        }
        hosts.push(format!("{name}:{plain}"));
    }
    hosts
}

fn tmpfs(at: &At<'_>, typed: Option<Value>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (at, typed) in one_or_more(at, typed) {
        let (path, options) = typed.split_once(':').unwrap_or((&typed, ""));
        match path.starts_with('/') {
            true => drop(found.insert(path.to_owned(), options.to_owned())),
            false => at.error_hint(
                format!("expected a folder inside the container, found `{typed}`"),
                "as in `/tmp` or `/tmp:size=64m`",
            ),
        }
    }
    found
}

fn signal(typed: &Scalar) -> Result<String, ValueError> {
    let signal = text(typed)?.to_ascii_uppercase();
    let is_number = signal
        .parse::<u8>()
        .is_ok_and(|number| (1..=64).contains(&number));
    let name = signal.strip_prefix("SIG").unwrap_or(&signal);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-".contains(c);
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_part);
    if matches!(name, "KILL" | "9") {
        return Err(ValueError::hint(
            "`SIGKILL` gives a program no time to end",
            "leave it out; `stop_grace_period: 0s` stops replicas at once",
        ));
    }
    match (is_number, is_name) {
        (true, _) => Ok(signal),
        (_, true) => Ok(format!("SIG{name}")),
        _ => Err(ValueError::hint(
            format!("expected a signal, found `{typed}`"),
            "as in `SIGQUIT`",
        )),
    }
}

fn logging(at: &At<'_>, typed: Option<Value>) -> Option<Logging> {
    let keys: LoggingKeys = match typed {
        None => return None,
        Some(typed @ Value::Mapping(_)) => at.shape(typed),
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                "as in `{ driver: json-file, options: { max-size: 50m } }`",
            );
            return None;
        }
    };
    if keys.driver.is_none() && keys.options.is_none() {
        return None;
    }
    let driver = at.read("driver", keys.driver.as_ref(), "json-file".to_owned(), text)?;
    let options = pairs(&at.key("options"), keys.options).into_iter();
    Some(Logging {
        driver,
        options: options.map(|(_, name, value)| (name, value)).collect(),
    })
}
