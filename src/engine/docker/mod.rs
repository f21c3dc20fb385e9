//! The engine that runs replicas as containers of a Docker daemon.
//!
//! Nothing is remembered here: every container carries in its labels what it is, and only
//! containers that carry this instance's labels are ever listed, stopped or removed. The daemon
//! may be away when Tidegate starts, go and come back; each call says so for itself.

mod create;
mod error;
mod event;
mod heard;
mod host;
mod image;
mod inspect;
mod label;
mod logs;
mod pause;
mod registry;
mod stop;
mod usage;
mod version;
mod words;

pub use host::Host;
pub use inspect::ImageFacts;
pub use logs::Line;

use super::{Engine, EngineError};
use crate::service::replica::{Observed, ReplicaId};
use crate::service::spec::{ImageId, Pull, Slot, Spec};
use crate::service::usage::Usage;
use async_trait::async_trait;
use bollard::query_parameters::ListContainersOptions;
use error::Failure;
use futures_util::stream::BoxStream;
use heard::Heard;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Looking takes milliseconds; a daemon that needs longer than this is stuck, and waiting longer
/// would only delay saying so.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub struct Docker {
    daemon: Arc<Daemon>,
}

impl Docker {
    /// The daemon that `DOCKER_HOST` names. Fails only when that cannot be understood; whether
    /// anybody answers there is for each call to find out.
    pub fn connect(instance: &str) -> Result<Docker, EngineError> {
        Docker::at(Host::from_env()?, instance)
    }

    /// The daemon at a known place; fails only when its certificates cannot be used.
    pub fn at(host: Host, instance: &str) -> Result<Docker, EngineError> {
        host.check()?;
        let daemon = Daemon {
            host,
            instance: instance.to_owned(),
            client: Mutex::new(None),
            heard: Heard::default(),
            turns: Turns::default(),
            broken: Mutex::new(HashSet::new()),
        };
        Ok(Docker {
            daemon: Arc::new(daemon),
        })
    }
}

#[async_trait]
impl Engine for Docker {
    async fn observe(&self) -> Result<Vec<Observed>, EngineError> {
        self.daemon.observe().await
    }

    async fn start(
        &self,
        spec: &Spec,
        slot: Slot,
        generation: u64,
    ) -> Result<ReplicaId, EngineError> {
        self.daemon.start(spec, slot, generation).await
    }

    async fn resolve(&self, image: &str, pull: Pull) -> Result<ImageId, EngineError> {
        self.daemon.resolve(image, pull).await
    }

    async fn last_words(&self, id: &ReplicaId) -> Vec<String> {
        self.said_last(id).await
    }

    async fn usage(&self, id: &ReplicaId) -> Result<Usage, EngineError> {
        self.measured(id).await
    }

    async fn pause(&self, id: &ReplicaId) -> Result<(), EngineError> {
        self.daemon.pause(id).await
    }

    async fn resume(&self, id: &ReplicaId) -> Result<(), EngineError> {
        self.daemon.resume(id).await
    }

    async fn stop(&self, id: &ReplicaId, grace: Duration) -> Result<(), EngineError> {
        self.daemon.stop(id, grace).await
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        event::changes(self.daemon.clone())
    }
}

/// One Docker daemon, and whose containers we look at there.
struct Daemon {
    host: Host,
    instance: String,
    /// Set while the daemon answers; made anew after it was lost, because it may come back as
    /// another version.
    client: Mutex<Option<bollard::Docker>>,
    heard: Heard,
    turns: Turns,
    /// Containers whose broken labels have been complained about.
    broken: Mutex<HashSet<String>>,
}

impl Daemon {
    async fn observe(&self) -> Result<Vec<Observed>, EngineError> {
        const OP: &str = "list the containers";
        let client = self.client(OP).await?;
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([label::filter(&self.instance)])),
            ..Default::default()
        };
        let listed = client.list_containers(Some(options));
        let listed = self.ask(OP, LOOK_TIMEOUT, listed).await?;

        let mut seen = Vec::with_capacity(listed.len());
        let mut broken = HashSet::new();
        for container in &listed {
            match label::observed(container) {
                Ok(replica) => seen.extend(replica),
                Err(why) => {
                    let id = container.id.clone().unwrap_or_default();
                    self.complain_once(&id, &why);
                    broken.insert(id);
                }
            }
        }
        *held(&self.broken) = broken;
        self.heard.correct(&mut seen);
        Ok(seen)
    }

    fn complain_once(&self, id: &str, why: &str) {
        if !held(&self.broken).contains(id) {
            let id = ReplicaId::new(id);
            log::warn!("container {id} is labelled as ours and is left alone: {why}");
        }
    }

    /// A client whose API version suits the daemon.
    async fn client(&self, op: &'static str) -> Result<bollard::Docker, Failure> {
        if let Some(client) = held(&self.client).clone() {
            return Ok(client);
        }
        let client = self.host.client();
        let client = client.map_err(|error| Failure::new(op, &self.host, error))?;
        let client = self
            .ask(op, LOOK_TIMEOUT, client.negotiate_version())
            .await?;
        let client = version::pinned(client);
        log::debug!(
            "Docker answers at {}, API {}",
            self.host,
            client.client_version()
        );
        *held(&self.client) = Some(client.clone());
        Ok(client)
    }

    /// Waits for one answer, and no longer than `limit`.
    async fn ask<T>(
        &self,
        op: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Failure> {
        let failure = match tokio::time::timeout(limit, call).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Failure::new(op, &self.host, error),
            Err(_) => Failure::timed_out(op, &self.host, limit),
        };
        if failure.unreachable() {
            self.forget_client();
        }
        Err(failure)
    }

    fn forget_client(&self) {
        *held(&self.client) = None;
    }
}

/// The data behind these locks is replaced whole, so a panic elsewhere cannot have broken it.
fn held<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets one task at a time make each named thing, so that ten replicas of a new service pull
/// their image once.
#[derive(Default)]
struct Turns {
    waiting: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    async fn take(&self, thing: String) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut waiting = held(&self.waiting);
            waiting.retain(|_, turn| Arc::strong_count(turn) > 1);
            waiting.entry(thing).or_default().clone()
        };
        turn.lock_owned().await
    }
}
