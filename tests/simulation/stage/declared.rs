//! Services as they are declared.

use std::net::SocketAddr;
use std::time::Duration;
use tidegate::engine::testing;
use tidegate::service::spec::{Bounds, HealthTiming, SleepTerms, Slot, Source, Spec, Update};

/// A service as the user would write it down.
#[derive(Clone, Debug)]
pub struct Declared {
    pub image: usize,
    pub min: u32,
    pub max: u32,
    pub first_port: Slot,
    pub grace: Duration,
    pub interval: Duration,
    pub retries: u32,
    pub start_period: Duration,
    pub update: Update,
    /// Sleeps when nobody asks for it; then `min` is 0.
    pub sleep: Option<SleepTerms>,
    pub spare: u32,
    /// Plain addresses instead of an image.
    pub fixed: bool,
    pub probe: u32,
}

impl Declared {
    /// The service as the control loop gets it.
    pub fn spec(&self, name: &str) -> Spec {
        let mut spec = testing::containers(name);
        match &mut spec.source {
            Source::Container(template) if !self.fixed => {
                template.image = format!("{name}:{}", self.image);
                template.first_port = self.first_port;
            }
            source => {
                let addresses = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 80)));
                *source = Source::Addresses(addresses.to_vec());
            }
        }
        Spec {
            health: HealthTiming {
                interval: self.interval,
                timeout: Duration::from_secs(1),
                retries: self.retries,
                start_period: self.start_period,
            },
            bounds: Bounds {
                min: self.min,
                max: self.max,
            },
            sleep: self.sleep.filter(|_| !self.fixed),
            spare: self.spare,
            stop_grace_period: self.grace,
            update: self.update.clone(),
            ..spec
        }
    }
}
