//! Single containers and images, as far as they are read here.

use super::daemon::Daemon;
use super::engine::Docker;
use super::error::CallFailure;
use super::json::target;
use crate::engine::EngineError;
use crate::service::replica::ReplicaId;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Container {
    pub name: Option<String>,
    /// Time in RFC 3339.
    pub created: Option<String>,
    /// The image's id.
    pub image: Option<String>,
    pub state: Option<InspectedState>,
    pub config: Option<ContainerConfig>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct InspectedState {
    /// True also while it is paused, except on Podman.
    pub running: bool,
    pub paused: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ContainerConfig {
    pub labels: Option<HashMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Image {
    pub id: Option<String>,
    pub config: Option<ImageConfig>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ImageConfig {
    pub labels: Option<HashMap<String, String>>,
    exposed_ports: Option<BTreeMap<String, IgnoredAny>>,
    volumes: Option<BTreeMap<String, IgnoredAny>>,
    healthcheck: Option<Healthcheck>,
}

/// Times are nanoseconds.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Healthcheck {
    test: Option<Vec<String>>,
    interval: Option<i64>,
    timeout: Option<i64>,
    retries: Option<i64>,
    start_period: Option<i64>,
}

impl Daemon {
    pub(super) async fn inspect(
        &self,
        client: &bollard::Docker,
        op: &'static str,
        id: &ReplicaId,
    ) -> Result<Container, CallFailure> {
        let target = target(&["containers", &id.0, "json"], &[]);
        self.get(client, op, target).await
    }

    pub(super) async fn inspect_image(
        &self,
        client: &bollard::Docker,
        op: &'static str,
        image: &str,
    ) -> Result<Image, CallFailure> {
        let target = target(&["images", image, "json"], &[]);
        self.get(client, op, target).await
    }
}

/// Facts about an image, for writing a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// Exposed TCP ports, the lowest first.
    pub ports: Vec<u16>,
    /// Folders that should outlive a container.
    pub volumes: Vec<String>,
    /// Command of its health check.
    pub healthcheck: Option<String>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub retries: Option<u32>,
    pub start_period: Option<Duration>,
}

impl Docker {
    /// Inspects an image, and pulls it when it is not on this machine.
    pub async fn image_facts(&self, image: &str) -> Result<ImageFacts, EngineError> {
        const OP: &str = "look at the image";
        let daemon = &self.daemon;
        let client = daemon.client(OP).await?;
        daemon
            .resolve(image, crate::service::spec::Pull::Missing)
            .await?;
        let inspected = daemon.inspect_image(&client, OP, image).await?;
        let config = inspected.config.unwrap_or_default();
        let ports = config.exposed_ports.unwrap_or_default();
        let ports = ports.keys().filter_map(|port| {
            let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            number.parse().ok().filter(|_| protocol == "tcp")
        });
        let mut ports: Vec<u16> = ports.collect();
        ports.sort_unstable();
        let volumes = config.volumes.unwrap_or_default();
        let health = config.healthcheck.unwrap_or_default();
        let nanos = |nanos: Option<i64>| {
            let nanos = u64::try_from(nanos?).ok().filter(|nanos| *nanos > 0)?;
            Some(Duration::from_nanos(nanos))
        };
        Ok(ImageFacts {
            ports,
            volumes: volumes.into_keys().collect(),
            healthcheck: health
                .test
                .map(|test| test.join(" "))
                .filter(|test| !test.is_empty() && test != "NONE"),
            interval: nanos(health.interval),
            timeout: nanos(health.timeout),
            retries: health.retries.and_then(|count| u32::try_from(count).ok()),
            start_period: nanos(health.start_period),
        })
    }
}
