//! One service: its source, its timing and its bounds.

use super::balance;
use super::concurrency::{as_target, container_concurrency};
use super::container::{first_port, template};
use super::failover;
use super::plugins::{Installer, Scope};
use super::route::routes;
use super::sleep;
use super::update::{pull, update};
use super::value::{self, address, count, duration, maybe_zero_duration};
use crate::config::error::At;
use crate::config::raw;
use crate::config::shape::{split_off, what};
use crate::config::source::Env;
use crate::config::{Plugged, Service};
use crate::plugin::{Combined, Scaler};
use crate::service::spec::{
    Bounds, Forward, HealthTiming, RouteSpec, ServiceName, SleepTerms, Source, Spec,
};
use serde_yaml::{Mapping, Value};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const MIN: u32 = 1;
const MAX: u32 = 10;
/// Also how many addresses a service may have.
const REPLICAS_MAX: u32 = 1000;
const RETRIES_MAX: u32 = 100;
/// Each waiting request keeps a connection and its buffers.
const HELD_MAX: u32 = 100_000;
const BODY_BYTES_MAX: u64 = 1 << 40;

/// A service as far as it can be relied on.
pub struct Checked {
    /// `None` when there was a problem; every one is reported.
    pub service: Option<Service>,
    /// What is compared with other services, whatever else is wrong with this one.
    pub outline: Outline,
}

pub struct Outline {
    pub name: ServiceName,
    pub routes: Option<Vec<RouteSpec>>,
    /// The first host port, and how many.
    pub ports: Option<(u16, u32)>,
}

impl Outline {
    pub fn unknown(name: ServiceName) -> Self {
        Outline {
            name,
            routes: None,
            ports: None,
        }
    }
}

pub fn service(
    at: &At<'_>,
    name: &ServiceName,
    value: Value,
    env: &Env,
    installer: &Installer<'_>,
) -> Checked {
    at.accept(value::name(name.as_str(), "a service"));
    // What is given and does not fit is missing from the shape, and reported already.
    let is_given = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
    let is_fixed = is_given("addresses");
    let has_image = is_given("image");
    let has_routes = is_given("routes");
    let given = FOR_CONTAINERS.iter().copied().filter(|key| is_given(key));
    let given: Vec<&str> = given.collect();
    let mut raw: raw::Service = at.shape(value);

    let routes = match raw.routes.take() {
        None if has_routes => None,
        typed => routes(&at.key("routes"), typed.unwrap_or_default()),
    };
    let default = if is_fixed { "tcp" } else { "answers" };
    let in_health = at.key("healthcheck");
    let health = mapping(&in_health, raw.healthcheck.take(), "{ type: tcp }");
    let health = health.and_then(|typed| health_of(&in_health, name, typed, default, installer));
    let plugins = installer.of_service(&at.key("plugins"), raw.plugins.take(), name);
    let forward = forward_of(at, &mut raw);
    let grace = at.read(
        "stop_grace_period",
        raw.stop_grace_period.as_ref(),
        Duration::from_secs(10),
        maybe_zero_duration,
    );

    let update = update(at, raw.update_config.take());
    let pull = pull(at, raw.pull.as_ref());

    let (source, scaling, ports);
    if is_fixed {
        only_for_containers(at, &given);
        let addresses = raw.addresses.take();
        let addresses = addresses.map(|typed| fixed(&at.key("addresses"), typed));
        let count = addresses.as_ref().map_or(0, Vec::len) as u32;
        let bounds = Bounds {
            min: count,
            max: count,
        };
        source = addresses.map(Source::Addresses);
        let scale = Scaling {
            bounds,
            sleep: None,
            spare: 0,
        };
        scaling = Some((scale, Vec::new()));
        ports = None;
    } else {
        if !has_image {
            at.error_hint(
                "needs an `image` or `addresses`",
                "`image` for containers that Tidegate runs, `addresses` for what runs already",
            );
        }
        let first_port = first_port(at, &raw);
        source = template(at, &mut raw, first_port, env).map(Source::Container);
        let in_scale = at.key("scale");
        let scale = mapping(&in_scale, raw.scale.take(), "{ min: 1, max: 10 }");
        let limit = forward.as_ref().and_then(|it| it.container_concurrency);
        let scale = scale.map(|mut typed| {
            as_target(&in_scale, &mut typed, limit);
            scale_of(&in_scale, name, typed, installer)
        });
        let (scale, plugged) = scale.unwrap_or((None, None));
        ports = first_port.zip(scale.as_ref().map(|scale| scale.bounds.max));
        scaling = scale.zip(plugged);
    }

    let outline = Outline {
        name: name.clone(),
        routes: routes.clone(),
        ports,
    };
    let build = || {
        let (scaling, scaler_plugins) = scaling?;
        let (health, probe_plugin) = health?;
        let spec = Spec {
            name: name.clone(),
            source: source?,
            routes: routes?,
            health,
            bounds: scaling.bounds,
            sleep: scaling.sleep,
            spare: scaling.spare,
            stop_grace_period: grace?,
            update: update?,
            pull: pull?,
            alias: None,
            declared: None,
            manual: None,
            wanted: None,
            forward: forward?,
        };
        Some(Service {
            spec: Arc::new(spec),
            probe: probe_plugin.probe.clone()?,
            probe_plugin,
            scaler: scaler(&scaler_plugins),
            scaler_plugins,
            plugins,
        })
    };
    Checked {
        service: build(),
        outline,
    }
}

const FOR_CONTAINERS: &[&str] = &[
    "image",
    "pull",
    "port",
    "first_port",
    "command",
    "entrypoint",
    "environment",
    "secrets",
    "volumes",
    "networks",
    "user",
    "cpus",
    "memory",
    "scale",
    "update_config",
];

fn only_for_containers(at: &At<'_>, given: &[&str]) {
    for key in given {
        at.key(key).error_hint(
            "is for containers, and this service has fixed `addresses`",
            format!("remove `{key}` or `addresses`"),
        );
    }
}

fn fixed(at: &At<'_>, typed: Vec<Value>) -> Vec<SocketAddr> {
    if typed.is_empty() {
        at.error_hint(
            "is empty",
            "write at least one, as in `[\"10.0.0.7:8080\"]`",
        );
    }
    if typed.len() > REPLICAS_MAX as usize {
        at.error(format!(
            "expected at most {REPLICAS_MAX} addresses, found {}",
            typed.len()
        ));
    }
    addresses(at, &typed, |at, address| {
        if address.port() == 0 {
            at.error(format!("`{address}` has no port that can be dialled"));
        } else if address.ip().is_unspecified() {
            at.error_hint(
                format!("`{address}` is an address to listen on, not one to dial"),
                format!("for this machine itself: `127.0.0.1:{}`", address.port()),
            );
        }
    })
}

/// A list of addresses, none of them twice.
pub fn addresses(
    at: &At<'_>,
    typed: &[Value],
    check: impl Fn(&At<'_>, SocketAddr),
) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for (index, value) in typed.iter().enumerate() {
        let at = at.index(index);
        let parsed = at.scalar(value).map(|typed| address(&typed));
        let Some(address) = parsed.and_then(|parsed| at.accept(parsed)) else {
            continue;
        };
        if addresses.contains(&address) {
            at.error(format!("`{address}` is listed twice"));
            continue;
        }
        check(&at, address);
        addresses.push(address);
    }
    addresses
}

fn health_of(
    at: &At<'_>,
    name: &ServiceName,
    mut typed: Mapping,
    default: &str,
    installer: &Installer<'_>,
) -> Option<(HealthTiming, Arc<Plugged>)> {
    let core = split_off(&mut typed, raw::Health::KEYS);
    let raw: raw::Health = at.shape(Value::Mapping(core));
    let second = Duration::from_secs(1);
    let interval = at.read("interval", raw.interval.as_ref(), second, duration);
    let timeout = at.read("timeout", raw.timeout.as_ref(), second, duration);
    let retries = at.read("retries", raw.retries.as_ref(), 1, count(1..=RETRIES_MAX));
    let start_period = at.read(
        "start_period",
        raw.start_period.as_ref(),
        Duration::from_secs(30),
        duration,
    );
    // A path is asked for a health check of its own, which knows when all is well.
    let default = if typed.is_empty() { default } else { "http" };
    let plugged = installer.named(
        at,
        raw.r#type.as_ref(),
        default,
        typed,
        Scope::Probe(name),
        raw::Health::KEYS,
    );
    let timing = HealthTiming {
        interval: interval?,
        timeout: timeout?,
        retries: retries?,
        start_period: start_period?,
    };
    Some((timing, plugged?))
}

/// What is at `at`; left out, it is an empty mapping.
pub(super) fn mapping(at: &At<'_>, typed: Option<Value>, example: &str) -> Option<Mapping> {
    match typed {
        None => Some(Mapping::new()),
        Some(Value::Mapping(mapping)) => Some(mapping),
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                format!("as in `{example}`"),
            );
            None
        }
    }
}

/// How many replicas there may be, whatever decides.
struct Scaling {
    bounds: Bounds,
    sleep: Option<SleepTerms>,
    spare: u32,
}

fn scale_of(
    at: &At<'_>,
    name: &ServiceName,
    mut typed: Mapping,
    installer: &Installer<'_>,
) -> (Option<Scaling>, Option<Vec<Arc<Plugged>>>) {
    let core = split_off(&mut typed, raw::Scale::KEYS);
    let has_list = core.get("policies").is_some_and(|typed| !typed.is_null());
    let mut raw: raw::Scale = at.shape(Value::Mapping(core));
    let bound = count(1..=REPLICAS_MAX);
    let (min, sleep) = sleep::least(at, &raw, MIN, 1..=REPLICAS_MAX);
    let max = at.read("max", raw.max.as_ref(), MAX, &bound);
    let spare = at.read("spare", raw.spare.as_ref(), 0, count(0..=REPLICAS_MAX));
    let plugged = match has_list {
        true => policies(at, name, &mut raw, &typed, installer),
        false => {
            let policy = raw.policy.as_ref();
            let scope = Scope::Scaler(name);
            let named = installer.named(at, policy, "requests", typed, scope, raw::Scale::KEYS);
            named.map(|plugged| vec![plugged])
        }
    };
    let bounds = min.zip(max).map(|(min, max)| Bounds { min, max });
    if let Some(Bounds { min, max }) = bounds
        && min > max
    {
        let by_default = if raw.max.is_none() { " by default" } else { "" };
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
    raw: &mut raw::Scale,
    beside: &Mapping,
    installer: &Installer<'_>,
) -> Option<Vec<Arc<Plugged>>> {
    if raw.policy.is_some() {
        at.error_on(
            &["policy", "policies"],
            "`policy` and `policies` stand side by side".to_owned(),
            "put the one into the list of the others".to_owned(),
        );
    }
    for key in beside.keys().filter_map(Value::as_str) {
        at.key(key).error_hint(
            "is the key of a policy, and there are several",
            format!("write it below one of them, as in `- concurrency: {{ {key}: … }}`"),
        );
    }
    let in_policies = at.key("policies");
    // What is no list is reported already.
    let typed = raw.policies.take()?;
    if typed.is_empty() {
        in_policies.error_hint("is empty", "name at least one, or leave the key out");
    }
    let plugged = installer.scalers(&in_policies, typed, name);
    plugged.filter(|_| raw.policy.is_none() && beside.is_empty())
}

/// What decides: the only policy, or all of them together.
fn scaler(plugged: &[Arc<Plugged>]) -> Option<Arc<dyn Scaler>> {
    if let [only] = plugged {
        return only.scaler.clone();
    }
    let policies = plugged.iter();
    let policies =
        policies.filter_map(|it| Some((Arc::from(it.name.as_str()), it.scaler.clone()?)));
    let policies: Vec<_> = policies.collect();
    (!policies.is_empty()).then(|| -> Arc<dyn Scaler> { Arc::new(Combined::new(policies)) })
}

fn forward_of(at: &At<'_>, raw: &mut raw::Service) -> Option<Forward> {
    let default = Forward::default();
    let connect = at.read(
        "connect_timeout",
        raw.connect_timeout.as_ref(),
        default.connect_timeout,
        duration,
    );
    let read = at.read(
        "read_timeout",
        raw.read_timeout.as_ref(),
        default.read_timeout,
        duration,
    );
    let write = at.read(
        "write_timeout",
        raw.write_timeout.as_ref(),
        default.write_timeout,
        duration,
    );
    let tunnel_idle = at.read(
        "tunnel_idle_timeout",
        raw.tunnel_idle_timeout.as_ref(),
        default.tunnel_idle_timeout,
        duration,
    );
    let balance = balance::balance(&at.key("balance"), raw.balance.take());
    let slow_start = balance::slow_start(at, raw.slow_start.as_ref(), balance.as_ref());
    let limit = container_concurrency(at, raw.container_concurrency.as_ref());
    let body = at.read(
        "max_request_body",
        raw.max_request_body.as_ref(),
        default.max_request_body_bytes,
        value::size(1..=BODY_BYTES_MAX),
    );
    let answer = at.optional(
        "max_response_body",
        raw.max_response_body.as_ref(),
        value::size(1..=BODY_BYTES_MAX),
    );
    let is_answer_wrong = answer.is_none() && raw.max_response_body.is_some();
    let in_hold = at.key("hold");
    let hold: raw::Hold = in_hold.shape(Value::Mapping(raw.hold.clone().unwrap_or_default()));
    let hold_timeout = in_hold.read(
        "timeout",
        hold.timeout.as_ref(),
        default.hold_timeout,
        value::maybe_zero_duration,
    );
    let hold_max = in_hold.read(
        "max",
        hold.max.as_ref(),
        default.hold_max as u32,
        value::count(1..=HELD_MAX),
    );
    let waiting_page = sleep::waiting_page(at, raw.waiting_page.as_ref());
    let retries = failover::retries(&at.key("retries"), raw.retries.take());
    let outlier_detection =
        failover::outlier_detection(&at.key("outlier_detection"), raw.outlier_detection.take());
    Some(Forward {
        balance: balance?,
        slow_start: slow_start?,
        connect_timeout: connect?,
        read_timeout: read?,
        write_timeout: write?,
        tunnel_idle_timeout: tunnel_idle?,
        container_concurrency: limit?,
        max_request_body_bytes: body?,
        max_response_body_bytes: if is_answer_wrong { None? } else { answer },
        hold_timeout: hold_timeout?,
        hold_max: u64::from(hold_max?),
        waiting_page: waiting_page?,
        retries: retries?,
        outlier_detection: outlier_detection?,
    })
}
