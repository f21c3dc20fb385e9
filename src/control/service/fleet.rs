//! The replicas of a service, and those that are on their way.

mod brake;
mod image;
mod leaving;
mod meter;
mod others;
mod outcome;
mod ports;
mod questions;
mod removal;
mod reports;
mod slumber;
mod starts;
mod tracked;

pub use outcome::{Pausing, Probed, ReplicaFailure};
pub use starts::START_HANGS_AFTER;
pub use tracked::Tracked;

use crate::service::replica::ReplicaId;
use crate::service::snapshot::LastLogs;
use crate::service::spec::ServiceName;
use brake::Brake;
use image::ImageState;
use ports::TakenPorts;
use starts::Starts;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub struct Fleet {
    service: ServiceName,
    replicas: BTreeMap<ReplicaId, Tracked>,
    starts: Starts,
    taken: TakenPorts,
    image: ImageState,
    brake: Brake,
    last_logs: Option<Arc<LastLogs>>,
    /// How long the last start took until it was ready.
    started_in: Duration,
    /// Moving average of that; zero: none was seen.
    start_time: Duration,
}

impl Fleet {
    pub fn new(service: ServiceName) -> Fleet {
        Fleet {
            replicas: BTreeMap::new(),
            starts: Starts::default(),
            taken: TakenPorts::default(),
            image: ImageState::default(),
            brake: Brake::new(&service),
            last_logs: None,
            started_in: Duration::ZERO,
            start_time: Duration::ZERO,
            service,
        }
    }
}
