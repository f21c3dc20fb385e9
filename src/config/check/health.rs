//! Health checks: their timing, and the plugin that makes them.

use super::plugins::{Installer, Scope};
use super::value::{count, duration, mapping};
use crate::config::keys::keys_of;
use crate::config::plugged::Plugged;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::service::spec::{HealthTiming, ServiceName, Upstream};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::sync::Arc;
use std::time::Duration;

const RETRIES_MAX: u32 = 100;

/// The keys of a health check; others belong to its plugin.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthKeys {
    pub r#type: Option<Scalar>,
    pub interval: Option<Scalar>,
    pub timeout: Option<Scalar>,
    pub retries: Option<Scalar>,
    pub start_period: Option<Scalar>,
}

impl Shape for HealthKeys {}

/// Keys of the health check; `None` after a problem. A path alone is taken for one in the hint.
pub fn health_keys(at: &At<'_>, typed: Option<Value>) -> Option<Mapping> {
    let example = match &typed {
        Some(Value::String(path)) if path.starts_with('/') => format!("{{ path: {path} }}"),
        _ => "{ type: tcp }".to_owned(),
    };
    let mut keys = mapping(at, typed, &example)?;
    for (key, value) in compose_keys(&mut keys) {
        let (message, hint) = match key {
            "test" => (
                "is a command, and no command is run in containers".to_owned(),
                format!(
                    "replicas are asked over the network: `path: {}`",
                    path_in(&value).unwrap_or("/")
                ),
            ),
            "disable" => (
                "replicas are always checked".to_owned(),
                "use `type: tcp`, for which a connection is enough".to_owned(),
            ),
            _ => (
                format!("unknown key `{key}`"),
                "leave it out: a new replica is checked ten times a second".to_owned(),
            ),
        };
        at.key(key).error_hint(message, hint);
    }
    Some(keys)
}

/// Takes out the keys of Compose's health checks that have no meaning here.
fn compose_keys(keys: &mut Mapping) -> Vec<(&'static str, Value)> {
    let foreign = ["test", "disable", "start_interval"].into_iter();
    foreign
        .filter_map(|key| Some((key, keys.shift_remove(key)?)))
        .collect()
}

/// Path of the first URL in a command.
fn path_in(command: &Value) -> Option<&str> {
    let words: Vec<&str> = match command {
        Value::Sequence(words) => words.iter().filter_map(Value::as_str).collect(),
        other => vec![other.as_str()?],
    };
    let (_, rest) = words.iter().find_map(|word| word.split_once("://"))?;
    let url = rest.split([' ', '"', '\'', '?']).next()?;
    url.find('/').map(|start| &url[start..])
}

pub fn health(
    at: &At<'_>,
    name: &ServiceName,
    mut typed: Mapping,
    default: &str,
    upstream: &Upstream,
    installer: &Installer<'_>,
) -> Option<(HealthTiming, Arc<Plugged>)> {
    let keys: HealthKeys = at.part(&mut typed);
    let second = Duration::from_secs(1);
    let interval = at.read("interval", keys.interval.as_ref(), second, duration);
    let timeout = at.read("timeout", keys.timeout.as_ref(), second, duration);
    let retries = at.read("retries", keys.retries.as_ref(), 1, count(1..=RETRIES_MAX));
    let start_period = at.read(
        "start_period",
        keys.start_period.as_ref(),
        Duration::from_secs(30),
        duration,
    );
    // A path is asked for a health check of its own, which knows when all is well.
    let default = if typed.is_empty() { default } else { "http" };
    let plugged = installer.named(
        at,
        keys.r#type.as_ref(),
        default,
        typed,
        Scope::Probe(name, upstream),
        keys_of::<HealthKeys>(),
    );
    let timing = HealthTiming {
        interval: interval?,
        timeout: timeout?,
        retries: retries?,
        start_period: start_period?,
    };
    Some((timing, plugged?))
}
