//! What the user wants of a service, checked: the program may rely on every value here.

use super::environment::Environment;
use super::gate::UNLIMITED;
use super::manual::ManualDeploy;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeSet;
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

/// Longest name of a service or an instance, in bytes.
pub const NAME_BYTES_MAX: usize = 40;

pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// `None`: it never sleeps.
    pub sleep: Option<SleepTerms>,
    /// How many replicas run ahead of what its policy wants.
    pub spare: u32,
    pub stop_grace_period: Duration,
    /// How replicas of an old template are replaced.
    pub update: Update,
    /// Whether a deploy asks the registry what a tag stands for now.
    pub pull: Pull,
    /// The name of the template in use, when it is not its content's own; see [`Version`].
    pub alias: Option<SpecHash>,
    /// The template that the configuration asks for, while another one is in use: deployed by
    /// hand, or gone back to.
    pub declared: Option<SpecHash>,
    /// `None`: the template's image is the file's.
    pub manual: Option<ManualDeploy>,
    /// How many replicas were wanted when one is made from this, for who has to know it later.
    pub wanted: Option<u32>,
    pub forward: Forward,
}

impl Spec {
    /// The template in use, and its name.
    pub fn version(&self) -> Option<Version> {
        let template = self.template()?.clone();
        Some(Version {
            hash: self.alias.clone().unwrap_or_else(|| template.hash()),
            template,
            manual: self.manual.clone(),
        })
    }

    /// The name of what the configuration asks for, whatever is in use.
    pub fn declared(&self) -> Option<SpecHash> {
        let declared = self.declared.clone();
        declared.or_else(|| self.template().map(Template::hash))
    }

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
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each service, and most are containers"
)]
pub enum Source {
    /// Tidegate starts and stops containers.
    Container(Template),
    /// Somebody else runs them.
    Addresses(Vec<SocketAddr>),
}

/// Everything that a container is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    pub image: String,
    /// What the image's name stood for when it was deployed, so that a tag that moves later
    /// changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// The port that the program listens on inside the container.
    pub port: u16,
    /// Host ports 127.0.0.1:`first_port`, + 1, … Where a replica sits, not what it is made from.
    #[serde(skip)]
    pub first_port: u16,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub environment: Environment,
    /// Variables whose values came from files, and stand nowhere but in the environment.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
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
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a template is plain data")
    }

    /// For a label, which monitoring copies far and wide: without the values of secrets.
    pub fn to_label(&self) -> String {
        let mut shown = self.clone();
        shown
            .environment
            .retain(|name, _| !self.secrets.contains(name));
        shown.to_json()
    }

    /// From a label, with the values that secrets have in `declared`; `None`: it lacks one.
    pub fn from_label(label: &str, declared: &Template) -> Option<Template> {
        let mut template: Template = serde_json::from_str(label).ok()?;
        for name in &template.secrets {
            let value = declared.environment.get(name)?;
            template.environment.insert(name.clone(), value.clone());
        }
        Some(template)
    }

    /// A name for the content, the same in every process and release.
    pub fn hash(&self) -> SpecHash {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(self.to_json());
        let hex: String = digest[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        SpecHash::new(hex)
    }
}

/// The engine's name for an image's content, as in `sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub String);

impl fmt::Display for ImageId {
    /// Twelve characters, as `docker images` shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.0.strip_prefix("sha256:").unwrap_or(&self.0);
        f.write_str(digest.get(..12).unwrap_or(digest))
    }
}

/// A template under its name. Another name than the content's own stands for containers that
/// exist already: what was known only by its tag is made from the very same image again.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    pub hash: SpecHash,
    pub template: Template,
    /// `None`: its image is the file's.
    pub manual: Option<ManualDeploy>,
}

impl Version {
    pub fn of(template: Template) -> Version {
        Version {
            hash: template.hash(),
            template,
            manual: None,
        }
    }

    /// The version that `declared` asks for while this one is in use: an image deployed by hand
    /// stays, unless the file's image has changed since.
    pub fn under(&self, declared: &Template) -> Version {
        let is_kept = |manual: &&ManualDeploy| manual.file_image == declared.image;
        let Some(manual) = self.manual.as_ref().filter(is_kept) else {
            return Version::of(declared.clone());
        };
        let template = Template {
            image: self.template.image.clone(),
            image_id: self.template.image_id.clone(),
            ..declared.clone()
        };
        Version {
            manual: Some(manual.clone()),
            ..Version::of(template)
        }
    }

    /// Whether the values of its secrets are still those that it was named with.
    pub fn has_its_secrets(&self) -> bool {
        let unpinned = || Template {
            image_id: None,
            ..self.template.clone()
        };
        self.template.secrets.is_empty()
            || self.template.hash() == self.hash
            || unpinned().hash() == self.hash
    }

    /// Whether containers of both are made from the same, as far as the names tell.
    pub fn is_named_like(&self, other: &Template) -> bool {
        let named = |template: &Template| Template {
            image_id: None,
            first_port: 0,
            ..template.clone()
        };
        named(&self.template) == named(other)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.template.image)?;
        match &self.template.image_id {
            Some(id) => write!(f, " ({id})"),
            None => Ok(()),
        }
    }
}

/// How replicas of an old template are replaced; the words are Compose's `update_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// How many at a time.
    pub parallelism: u32,
    pub order: Order,
    /// Between one batch and the next.
    pub delay: Duration,
    /// How long a new replica must last.
    pub monitor: Duration,
    pub failure_action: FailureAction,
    /// Failed replicas, of those wanted, that are borne.
    pub max_failure_ratio: f64,
}

impl Default for Update {
    fn default() -> Self {
        Update {
            parallelism: 1,
            order: Order::StartFirst,
            delay: Duration::ZERO,
            monitor: Duration::from_secs(5),
            failure_action: FailureAction::Rollback,
            max_failure_ratio: 0.0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// New replicas start on ports above the others; old ones leave once these are ready.
    StartFirst,
    /// Old replicas leave first, and new ones take their ports.
    StopFirst,
}

/// What becomes of an update when too many new replicas fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    /// Goes back to what there was before.
    Rollback,
    /// Leaves both as they are.
    Pause,
    /// Goes on, ever more slowly.
    Continue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// Whenever it is deployed.
    Always,
    /// When it is not on this machine.
    Missing,
}

/// One thing a service claims. Host and path must both match.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteSpec {
    /// Lower case, without a port. `*.example.com` matches one or more labels before it.
    pub host: Option<String>,
    /// A prefix, matched by whole segments: `/api` claims `/api` and `/api/x`, not `/apis`.
    pub path: String,
    /// Passes `%2F` in a path on as it is.
    pub keeps_encoded_slashes: bool,
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

/// When a service that nobody asks for sleeps: its replicas are paused, and later stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SleepTerms {
    /// So long after the last request, when none is in flight.
    pub idle_timeout: Duration,
    /// How long replicas stay paused; zero: they are stopped at once.
    pub stop_after: Duration,
}

impl Bounds {
    /// The same for a service that is awake, which has one replica at least.
    pub fn awake(self) -> Bounds {
        Bounds {
            min: self.min.max(1),
            max: self.max.max(1),
        }
    }

    pub fn clamp(self, wanted: u32) -> u32 {
        wanted.clamp(self.min, self.max)
    }
}

/// Which replica gets a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest in flight, of all; among equals, one after the other.
    LeastRequest,
    /// The same one for the same client, as far as that goes.
    Hash(HashBy),
}

/// What makes a client the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// Its address, as trusted proxies name it.
    Address,
    Header(Arc<str>),
    Cookie(Arc<str>),
}

/// How requests are passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    pub balance: Balance,
    /// How long it takes a replica that has become ready to get its whole share; zero: no time.
    pub slow_start: Duration,
    pub connect_timeout: Duration,
    /// The longest silence while an answer is awaited or read.
    pub read_timeout: Duration,
    pub write_timeout: Duration,
    /// The longest silence on both sides of a WebSocket.
    pub tunnel_idle_timeout: Duration,
    /// How many requests a replica has at once; `None`: as many as come.
    pub container_concurrency: Option<u32>,
    pub max_request_body_bytes: u64,
    /// `None`: answers may be of any size.
    pub max_response_body_bytes: Option<u64>,
    /// How long a request waits for a replica that is on its way; zero: not at all.
    pub hold_timeout: Duration,
    /// How many may wait at once.
    pub hold_max: u64,
    /// Whether browsers that ask for a page get one that asks again, instead of waiting.
    pub waiting_page: bool,
    pub retries: Retries,
    /// `None`: answers eject nobody.
    pub outlier_detection: Option<OutlierDetection>,
}

impl Forward {
    /// How many requests a replica has at once.
    pub fn limit(&self) -> u64 {
        self.container_concurrency.map_or(UNLIMITED, u64::from)
    }
}

/// How often a request that failed is tried on another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Of one request, the first included.
    pub attempts: u32,
    /// Of all requests of the service, in percent.
    pub budget_percent: u32,
    /// Whatever the number of requests.
    pub min_per_second: u32,
}

impl Default for Retries {
    fn default() -> Self {
        Retries {
            attempts: 4,
            budget_percent: 20,
            min_per_second: 10,
        }
    }
}

/// When a replica is left out because of its answers, in Envoy's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierDetection {
    pub consecutive_5xx: u32,
    /// The first time; each further one takes as much longer.
    pub base_ejection_time: Duration,
    pub max_ejection_time: Duration,
    /// Of the replicas that are ready, at once.
    pub max_ejection_percent: u32,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        OutlierDetection {
            consecutive_5xx: 5,
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_percent: 50,
        }
    }
}

impl Default for Forward {
    fn default() -> Self {
        Forward {
            balance: Balance::default(),
            slow_start: Duration::ZERO,
            connect_timeout: Duration::from_secs(1),
            read_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            tunnel_idle_timeout: Duration::from_secs(60 * 60),
            container_concurrency: None,
            max_request_body_bytes: 100 << 20,
            max_response_body_bytes: None,
            hold_timeout: Duration::from_secs(10),
            hold_max: 1000,
            waiting_page: false,
            retries: Retries::default(),
            outlier_detection: Some(OutlierDetection::default()),
        }
    }
}
