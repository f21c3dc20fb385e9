//! The file's shape: the keys that a user may write and nothing about their values.
//!
//! Every scalar is a [`Scalar`], every list holds plain values: what they may be is said once,
//! in `check`, in words of this product instead of serde's.

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_yaml::{Mapping, Value};
use std::fmt;

/// A part of the file that is read as a whole.
pub trait Shape: for<'de> Deserialize<'de> + Default {
    /// For keys that are unknown here and known elsewhere: what to do instead.
    fn elsewhere(_key: &str) -> Option<&'static str> {
        None
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub listen: Option<Vec<Value>>,
    /// A mapping, or "off".
    pub admin: Option<Value>,
    pub instance: Option<Scalar>,
    pub state_dir: Option<Scalar>,
    pub threads: Option<Scalar>,
    pub timeouts: Option<Mapping>,
    pub max_header_size: Option<Scalar>,
    pub limits: Option<Mapping>,
    pub trusted_proxies: Option<Vec<Value>>,
    pub proxy_protocol: Option<Vec<Value>>,
    pub max_concurrent_starts: Option<Scalar>,
    pub services: Option<Mapping>,
    pub plugins: Option<Vec<Value>>,
}

impl Shape for File {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "image" | "addresses" | "routes" | "scale" | "healthcheck" => {
                Some("it belongs under `services`, as in `services: { web: { … } }`")
            }
            "version" | "name" => Some("leave it out: this is not a Compose file"),
            "volumes" | "networks" => {
                Some("leave it out here, and name it under the service that uses it")
            }
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    pub listen: Option<Scalar>,
    pub hosts: Option<Vec<Scalar>>,
}

impl Shape for Admin {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    pub header: Option<Scalar>,
    pub keepalive: Option<Scalar>,
    pub client_read: Option<Scalar>,
    pub client_write: Option<Scalar>,
    pub drain: Option<Scalar>,
}

impl Shape for Timeouts {}

/// What clients may have of the edge.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub connections: Option<Scalar>,
    pub connections_per_address: Option<Scalar>,
    pub headers: Option<Scalar>,
    pub target: Option<Scalar>,
    pub min_rate: Option<Scalar>,
}

impl Shape for Limits {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "max_header_size" | "header_size" => Some("use `max_header_size` at the top"),
            "header" | "header_timeout" => Some("use `timeouts: { header: … }`"),
            "max_request_body" | "max_response_body" => Some("it belongs to a service"),
            _ => None,
        }
    }
}

/// What a request does when no replica is ready.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    pub timeout: Option<Scalar>,
    pub max: Option<Scalar>,
}

impl Shape for Hold {}

/// How replicas of an old template are replaced.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateConfig {
    pub parallelism: Option<Scalar>,
    pub order: Option<Scalar>,
    pub delay: Option<Scalar>,
    pub monitor: Option<Scalar>,
    pub failure_action: Option<Scalar>,
    pub max_failure_ratio: Option<Scalar>,
}

impl Shape for UpdateConfig {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    pub attempts: Option<Scalar>,
    pub budget: Option<Scalar>,
    pub min_per_second: Option<Scalar>,
}

impl Shape for Retries {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutlierDetection {
    pub consecutive_5xx: Option<Scalar>,
    pub base_ejection_time: Option<Scalar>,
    pub max_ejection_time: Option<Scalar>,
    pub max_ejection_percent: Option<Scalar>,
}

impl Shape for OutlierDetection {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "interval" | "timeout" | "retries" | "start_period" => {
                Some("it belongs under `healthcheck`")
            }
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    pub image: Option<Scalar>,
    pub pull: Option<Scalar>,
    pub addresses: Option<Vec<Value>>,
    pub port: Option<Scalar>,
    pub first_port: Option<Scalar>,
    /// Text or a list.
    pub command: Option<Value>,
    /// Text or a list.
    pub entrypoint: Option<Value>,
    /// A mapping or a list of `KEY=VALUE`.
    pub environment: Option<Value>,
    /// Variables, and the files that hold their values.
    pub secrets: Option<Mapping>,
    pub volumes: Option<Vec<Value>>,
    pub networks: Option<Vec<Value>>,
    pub user: Option<Scalar>,
    pub cpus: Option<Scalar>,
    pub memory: Option<Scalar>,
    pub routes: Option<Vec<Value>>,
    /// [`Health`], and the keys of the plugin that it names.
    pub healthcheck: Option<Value>,
    /// [`Scale`], and the keys of the plugin that it names.
    pub scale: Option<Value>,
    /// A word, or a mapping: what to hash.
    pub balance: Option<Value>,
    pub slow_start: Option<Scalar>,
    pub stop_grace_period: Option<Scalar>,
    pub update_config: Option<Value>,
    pub container_concurrency: Option<Scalar>,
    pub connect_timeout: Option<Scalar>,
    pub read_timeout: Option<Scalar>,
    pub write_timeout: Option<Scalar>,
    pub tunnel_idle_timeout: Option<Scalar>,
    pub max_request_body: Option<Scalar>,
    pub max_response_body: Option<Scalar>,
    pub hold: Option<Mapping>,
    pub waiting_page: Option<Scalar>,
    pub retries: Option<Value>,
    /// A mapping, or "off".
    pub outlier_detection: Option<Value>,
    pub plugins: Option<Vec<Value>>,
}

impl Shape for Service {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "min"
            | "max"
            | "policy"
            | "requests_per_replica"
            | "spare"
            | "idle_timeout"
            | "stop_after" => Some("it belongs under `scale`"),
            "interval" | "timeout" | "start_period" => Some("it belongs under `healthcheck`"),
            "host" | "path" => Some("it belongs under `routes`, as in `routes: [{ path: /api }]`"),
            "deploy" | "replicas" => {
                Some("use `scale: { min: …, max: … }`; `update_config` stands under the service")
            }
            "pull_policy" => Some("use `pull`"),
            "rollback_config" => Some("leave it out: going back takes the same steps"),
            "parallelism" | "order" | "delay" | "monitor" | "failure_action" => {
                Some("it belongs under `update_config`")
            }
            "build" => Some("build the image first, and name it with `image`"),
            "restart" => Some("leave it out: replicas that fail are always replaced"),
            "container_name" => Some("leave it out: replicas are named after service and port"),
            "ports" | "expose" => {
                Some("`port` is the port inside the container; host ports start at `first_port`")
            }
            "mem_limit" => Some("use `memory`"),
            "lb_policy" | "strategy" | "load_balancing" => Some("use `balance`"),
            "sticky" => Some("use `balance: { hash: { cookie: … } }`"),
            "concurrency" | "hard_limit" | "maxconn" => Some("use `container_concurrency`"),
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    /// "address", or what of a request.
    pub hash: Option<Value>,
}

impl Shape for Balance {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "header" | "cookie" => Some("it belongs under `hash`, as in `{ hash: { header: … } }`"),
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashBy {
    pub header: Option<Scalar>,
    pub cookie: Option<Scalar>,
}

impl Shape for HashBy {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    pub host: Option<Scalar>,
    pub path: Option<Scalar>,
    pub encoded_slashes: Option<Scalar>,
}

impl Shape for Route {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub r#type: Option<Scalar>,
    pub interval: Option<Scalar>,
    pub timeout: Option<Scalar>,
    pub retries: Option<Scalar>,
    pub start_period: Option<Scalar>,
}

impl Shape for Health {}

impl Health {
    pub const KEYS: &[&str] = &["type", "interval", "timeout", "retries", "start_period"];
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    pub policy: Option<Scalar>,
    /// Several of them, each with its keys below it.
    pub policies: Option<Vec<Value>>,
    pub min: Option<Scalar>,
    pub max: Option<Scalar>,
    pub spare: Option<Scalar>,
    pub idle_timeout: Option<Scalar>,
    pub stop_after: Option<Scalar>,
}

impl Shape for Scale {}

impl Scale {
    pub const KEYS: &[&str] = &[
        "policy",
        "policies",
        "min",
        "max",
        "spare",
        "idle_timeout",
        "stop_after",
    ];
}

/// A single value, of whatever kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Text(String),
    Integer(i64),
    Number(f64),
    Bool(bool),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Text(text) => f.write_str(text),
            Scalar::Integer(number) => number.fmt(f),
            Scalar::Number(number) => number.fmt(f),
            Scalar::Bool(value) => value.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyScalar;
        impl Visitor<'_> for AnyScalar {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a single value")
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::Text(text.to_owned()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar::Integer(number))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(i64::try_from(number).map_or(Scalar::Number(number as f64), Scalar::Integer))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar::Number(number))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::Bool(value))
            }
        }
        deserializer.deserialize_any(AnyScalar)
    }
}
