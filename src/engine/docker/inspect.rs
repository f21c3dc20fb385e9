//! What an image says of itself, for whoever writes a configuration for it.

use super::{Docker, LOOK_TIMEOUT};
use crate::engine::EngineError;
use std::time::Duration;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// Exposed over TCP, the lowest first.
    pub ports: Vec<u16>,
    /// Folders that it wants to outlive a container.
    pub volumes: Vec<String>,
    /// Its own health check, as text.
    pub healthcheck: Option<String>,
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub retries: Option<u32>,
    pub start_period: Option<Duration>,
}

impl Docker {
    /// Looks at an image, and pulls it when it is not here.
    pub async fn image_facts(&self, image: &str) -> Result<ImageFacts, EngineError> {
        const OP: &str = "look at the image";
        let daemon = &self.daemon;
        let client = daemon.client(OP).await?;
        daemon
            .resolve(image, crate::service::spec::Pull::Missing)
            .await?;
        let inspected = client.inspect_image(image);
        let inspected = daemon.ask(OP, LOOK_TIMEOUT, inspected).await?;
        let config = inspected.config.unwrap_or_default();
        let ports = config.exposed_ports.unwrap_or_default();
        let ports = ports.iter().filter_map(|port| {
            let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
            number.parse().ok().filter(|_| protocol == "tcp")
        });
        let mut ports: Vec<u16> = ports.collect();
        ports.sort_unstable();
        let mut volumes = config.volumes.unwrap_or_default();
        volumes.sort();
        let health = config.healthcheck.unwrap_or_default();
        let nanos = |nanos: Option<i64>| {
            let nanos = u64::try_from(nanos?).ok().filter(|nanos| *nanos > 0)?;
            Some(Duration::from_nanos(nanos))
        };
        Ok(ImageFacts {
            ports,
            volumes,
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
