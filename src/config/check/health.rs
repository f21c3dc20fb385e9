//! Health checks: their timing, and the plugin that makes them.

use super::plugins::{Installer, Scope};
use super::value::{count, duration};
use crate::config::keys::keys_of;
use crate::config::plugged::Plugged;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::service::spec::{HealthTiming, ServiceName, Upstream};
use serde::Deserialize;
use serde_yaml::Mapping;
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
