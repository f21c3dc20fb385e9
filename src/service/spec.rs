//! What the user wants of a service, checked: the program may rely on every value here.

use super::environment::Environment;
use serde::Serialize;
use std::borrow::Borrow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    pub fn new(name: impl AsRef<str>) -> Self {
        ServiceName(Arc::from(name.as_ref()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A replica's place: the host port of a container, the position of a fixed address.
pub type Slot = u16;

/// Names a container template; replicas made from another one are out of date.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SpecHash(Arc<str>);

impl SpecHash {
    pub fn new(hash: impl AsRef<str>) -> Self {
        SpecHash(Arc::from(hash.as_ref()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub name: ServiceName,
    pub source: Source,
    /// Empty: every request that no other service claims.
    pub routes: Vec<RouteSpec>,
    pub health: HealthTiming,
    pub bounds: Bounds,
    pub stop_grace_period: Duration,
    pub forward: Forward,
}

impl Spec {
    /// The container template, when Tidegate runs this service's replicas.
    pub fn template(&self) -> Option<&Template> {
        match &self.source {
            Source::Container(template) => Some(template),
            Source::Addresses(_) => None,
        }
    }
}

/// Where replicas come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Tidegate starts and stops containers.
    Container(Template),
    /// Somebody else runs them.
    Addresses(Vec<SocketAddr>),
}

/// Everything that a container is made from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Template {
    pub image: String,
    /// The port that the program listens on inside the container.
    pub port: u16,
    /// Host ports 127.0.0.1:`first_port`, + 1, … Where a replica sits, not what it is made from.
    #[serde(skip)]
    pub first_port: u16,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub environment: Environment,
    /// As Docker's binds: `name:/path`, `/host/path:/path`, each with an optional `:ro`.
    pub volumes: Vec<String>,
    /// Networks to join beside or instead of the default bridge; the first is the one dialled.
    pub networks: Vec<String>,
    pub user: Option<String>,
    /// In billionths of a core, as Docker's `NanoCpus`.
    pub nano_cpus: Option<i64>,
    pub memory_bytes: Option<i64>,
}

/// Docker's port mapping reaches no further.
pub const LAST_PORT: u16 = u16::MAX;

impl Template {
    /// A name for the content, the same in every process and release.
    pub fn hash(&self) -> SpecHash {
        use sha2::{Digest, Sha256};
        let text = serde_json::to_vec(self).expect("a template is plain data");
        let digest = Sha256::digest(text);
        let hex: String = digest[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        SpecHash::new(hex)
    }
}

/// One thing a service claims. Host and path must both match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteSpec {
    /// Lower case, without a port. `*.example.com` matches one or more labels before it.
    pub host: Option<String>,
    /// A prefix, matched by whole segments: `/api` claims `/api` and `/api/x`, not `/apis`.
    pub path: String,
}

impl fmt::Display for RouteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host.as_deref().unwrap_or("*"), self.path)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthTiming {
    pub interval: Duration,
    pub timeout: Duration,
    /// Failures in a row that make a ready replica sick.
    pub retries: u32,
    /// How long a new replica may fail before it counts as broken.
    pub start_period: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
}

impl Bounds {
    pub fn clamp(self, wanted: u32) -> u32 {
        wanted.clamp(self.min, self.max)
    }
}

/// How requests are passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    pub connect_timeout: Duration,
    /// The longest silence while an answer is awaited or read.
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    /// The longest silence on both sides of a WebSocket.
    pub tunnel_idle_timeout: Duration,
    pub max_request_body_bytes: u64,
    /// `None`: answers may be of any size.
    pub max_response_body_bytes: Option<u64>,
    /// How long a request waits for a replica that is on its way; zero: not at all.
    pub hold_timeout: Duration,
    /// How many may wait at once.
    pub hold_max: u64,
}

impl Default for Forward {
    fn default() -> Self {
        Forward {
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            tunnel_idle_timeout: Duration::from_secs(60 * 60),
            max_request_body_bytes: 100 << 20,
            max_response_body_bytes: None,
            hold_timeout: Duration::from_secs(10),
            hold_max: 1000,
        }
    }
}
