//! Bounds of a service's number of replicas, the policies that decide within them, and sleep.

use super::plugins::{Installer, Scope};
use super::value::{count, duration, maybe_zero_duration};
use crate::config::keys::keys_of;
use crate::config::plugged::Plugged;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::config::suggestion::did_you_mean;
use crate::plugin::{Combined, Registry, Scaler};
use crate::service::spec::{Bounds, ServiceName, SleepTerms};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::sync::Arc;
use std::time::Duration;

const MIN: u32 = 1;
/// Default of `max` where a policy, or a key of one, is named.
const MAX: u32 = 10;
/// Default of `max` where nothing is said about the policy.
const MAX_IMPLIED: u32 = 4;
/// Policy of a service that says nothing about it.
const IMPLIED: &str = "concurrency";
/// Policy whose keys need no name; the specification that Tidegate descends from has it.
const COUNTED: &str = "requests";
const COUNTED_KEYS: [&str; 3] = ["interval", "requests_per_replica", "exclude"];
/// Most replicas, and most fixed addresses, of a service.
pub const REPLICAS_MAX: u32 = 1000;
/// Default time for which replicas stay paused.
const STOP_AFTER: Duration = Duration::from_secs(10 * 60);

/// The keys of a service's scaling; others belong to its policy.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScaleKeys {
    pub policy: Option<Scalar>,
    /// Several policies, each with its keys below it.
    pub policies: Option<Vec<Value>>,
    pub min: Option<Scalar>,
    pub max: Option<Scalar>,
    pub spare: Option<Scalar>,
    pub idle_timeout: Option<Scalar>,
    pub stop_after: Option<Scalar>,
}

impl Shape for ScaleKeys {}

/// Policy of a `scale` that names none, by its keys.
pub fn implied_policy(typed: &Mapping, registry: &Registry) -> &'static str {
    let mut keys = typed.keys().filter_map(Value::as_str);
    let is_there = registry.names().any(|name| name == IMPLIED);
    // A slip in a key is to be reported as one of its own policy.
    match is_there && !keys.any(|key| did_you_mean(key, COUNTED_KEYS).is_some()) {
        true => IMPLIED,
        false => COUNTED,
    }
}

/// Bounds, spare replicas and sleep, whatever the policy.
pub struct Scaling {
    pub bounds: Bounds,
    pub sleep: Option<SleepTerms>,
    pub spare: u32,
}

pub fn scale(
    at: &At<'_>,
    name: &ServiceName,
    mut typed: Mapping,
    installer: &Installer<'_>,
) -> (Option<Scaling>, Option<Vec<Arc<Plugged>>>) {
    let implied = implied_policy(&typed, installer.registry);
    let has_list = typed.get("policies").is_some_and(|list| !list.is_null());
    let mut keys: ScaleKeys = at.part(&mut typed);
    let bound = count(1..=REPLICAS_MAX);
    let (min, sleep) = least(at, &keys);
    let max_default = match implied == IMPLIED && keys.policy.is_none() && !has_list {
        true => MAX_IMPLIED,
        false => MAX,
    };
    let max = at.read("max", keys.max.as_ref(), max_default, &bound);
    let spare = at.read("spare", keys.spare.as_ref(), 0, count(0..=REPLICAS_MAX));
    let plugged = match has_list {
        true => policies(at, name, &mut keys, &typed, installer),
        false => {
            let policy = keys.policy.as_ref();
            let scope = Scope::Scaler(name);
            let named = installer.named(at, policy, implied, typed, scope, keys_of::<ScaleKeys>());
            named.map(|plugged| vec![plugged])
        }
    };
    let bounds = min.zip(max).map(|(min, max)| Bounds { min, max });
    if let Some(Bounds { min, max }) = bounds
        && min > max
    {
        let by_default = if keys.max.is_none() {
            " by default"
        } else {
            ""
        };
        at.error_on(
            &["max", "min"],
            format!("`max` is {max}{by_default} but `min` is {min}"),
            format!("raise `max` to at least {min}, or lower `min`"),
        );
    }
    let scaling = || {
        Some(Scaling {
            bounds: bounds?,
            sleep: sleep?,
            spare: spare?,
        })
    };
    (scaling(), plugged)
}

/// Several policies, each with its keys below its name.
fn policies(
    at: &At<'_>,
    name: &ServiceName,
    keys: &mut ScaleKeys,
    beside: &Mapping,
    installer: &Installer<'_>,
) -> Option<Vec<Arc<Plugged>>> {
    if keys.policy.is_some() {
        at.error_on(
            &["policy", "policies"],
            "`policy` and `policies` exclude each other".to_owned(),
            "move `policy` into the list".to_owned(),
        );
    }
    for key in beside.keys().filter_map(Value::as_str) {
        at.key(key).error_hint(
            "belongs to one policy, and there are several",
            format!("write it below one of them, as in `- concurrency: {{ {key}: … }}`"),
        );
    }
    let in_policies = at.key("policies");
    // A value that is no list was reported already.
    let typed = keys.policies.take()?;
    if typed.is_empty() {
        in_policies.error_hint("is empty", "name at least one, or leave the key out");
    }
    let plugged = installer.scalers(&in_policies, typed, name);
    plugged.filter(|_| keys.policy.is_none() && beside.is_empty())
}

/// The scaler: the only policy, or the combination of several.
pub fn scaler(plugged: &[Arc<Plugged>]) -> Option<Arc<dyn Scaler>> {
    if let [only] = plugged {
        return only.scaler.clone();
    }
    let policies = plugged.iter();
    let policies =
        policies.filter_map(|it| Some((Arc::from(it.name.as_str()), it.scaler.clone()?)));
    let policies: Vec<_> = policies.collect();
    (!policies.is_empty()).then(|| -> Arc<dyn Scaler> { Arc::new(Combined::new(policies)) })
}

/// The value of `scale.min`, which may be 0 with sleep, and the terms of sleep. An outer `None`
/// stands for a problem.
fn least(at: &At<'_>, keys: &ScaleKeys) -> (Option<u32>, Option<Option<SleepTerms>>) {
    let typed = keys.idle_timeout.as_ref();
    let may_sleep = typed.is_some();
    let default = if may_sleep { 0 } else { MIN };
    let min = at.read("min", keys.min.as_ref(), default, count(0..=REPLICAS_MAX));
    let idle_timeout = at.optional("idle_timeout", typed, duration);
    let stop_after = at.read(
        "stop_after",
        keys.stop_after.as_ref(),
        STOP_AFTER,
        maybe_zero_duration,
    );
    if min == Some(0) && !may_sleep {
        at.key("min").error_hint(
            "is 0, and `idle_timeout` is missing",
            "add `idle_timeout: 5m`, or set `min` to at least 1",
        );
        return (None, None);
    }
    if let Some(min) = min.filter(|min| *min > 0 && may_sleep) {
        at.error_on(
            &["min", "idle_timeout"],
            format!("`min` is {min}, so the service never sleeps, but `idle_timeout` is set"),
            "set `min` to 0, or remove `idle_timeout`".to_owned(),
        );
        return (None, None);
    }
    if keys.stop_after.is_some() && !may_sleep {
        at.key("stop_after").error_hint(
            "needs `idle_timeout`, which is missing",
            "add `idle_timeout: 5m`, or remove it",
        );
        return (None, None);
    }
    let terms = match may_sleep {
        false => Some(None),
        true => idle_timeout
            .zip(stop_after)
            .map(|(idle_timeout, stop_after)| {
                Some(SleepTerms {
                    idle_timeout,
                    stop_after,
                })
            }),
    };
    (min, terms.filter(|_| stop_after.is_some()))
}
