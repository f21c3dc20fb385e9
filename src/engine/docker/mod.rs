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
mod identity;
mod image;
mod inspect;
mod json;
mod label;
mod label_names;
mod list;
mod listed;
mod logs;
mod pause;
mod registry;
mod seal;
mod stop;
mod usage;
mod version;
mod vouch;
mod words;

#[cfg(test)]
mod scripted;

pub use host::Host;
pub use inspect::ImageFacts;
pub use logs::Line;
pub use seal::{KEY_BYTES, Seal};

use super::{Engine, EngineError};
use crate::service::replica::{Observed, ReplicaId};
use crate::service::spec::{ImageId, Pull, Slot, Spec};
use crate::service::usage::Usage;
use async_trait::async_trait;
use error::Failure;
use futures_util::stream::BoxStream;
use heard::Heard;
pub use identity::Claim;
use image::Pulls;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use vouch::Images;

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
            pulls: Pulls::default(),
            broken: Mutex::new(HashSet::new()),
            images: Images::default(),
            seal: None,
            claim: None,
        };
        Ok(Docker {
            daemon: Arc::new(daemon),
        })
    }

    /// Seals what it makes, and relies on the labels that bear the seal. Without one, what others
    /// sealed is believed as far as what nobody sealed.
    pub fn sealing(mut self, seal: Arc<Seal>) -> Docker {
        self.alone().seal = Some(seal);
        self
    }

    /// Has `claim` asked, with the daemon's identity, before anything else is asked of a daemon
    /// that was away. What it refuses is left alone.
    pub fn claiming(mut self, claim: Claim) -> Docker {
        self.alone().claim = Some(claim);
        self
    }

    fn alone(&mut self) -> &mut Daemon {
        Arc::get_mut(&mut self.daemon).expect("nobody has a copy while it is made")
    }
}

#[async_trait]
impl Engine for Docker {
    async fn observe(&self) -> Result<Vec<Observed>, EngineError> {
        Ok(self.daemon.observe().await?)
    }

    async fn fetch_image(&self, spec: &Spec) -> Result<(), EngineError> {
        self.daemon.fetch_image(spec).await
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
    pulls: Pulls,
    /// Containers whose broken labels have been complained about.
    broken: Mutex<HashSet<String>>,
    images: Images,
    seal: Option<Arc<Seal>>,
    claim: Option<Claim>,
}

impl Daemon {
    /// A client whose API version suits the daemon.
    async fn client(&self, op: &'static str) -> Result<bollard::Docker, Failure> {
        if let Some(client) = held(&self.client).clone() {
            return Ok(client);
        }
        let client = self.host.client();
        let client = client.map_err(|error| Failure::new(op, &self.host, error))?;
        let client = self
            .ask_engine(op, LOOK_TIMEOUT, client.negotiate_version())
            .await?;
        let client = version::pinned(client);
        self.claim(op, &client).await?;
        log::debug!(
            "Docker answers at {}, API {}",
            self.host,
            client.client_version()
        );
        *held(&self.client) = Some(client.clone());
        Ok(client)
    }

    /// Waits for the answer about one thing, and no longer than `limit`.
    ///
    /// A single container can hang for ever in Docker while everything else works. So the end of
    /// the time alone does not mean that the engine is away; a listing that fails as well does.
    async fn ask<T>(
        &self,
        op: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => self.settled(op, answer),
            Err(_) => {
                self.list(op).await?;
                Err(Failure::stuck(op, limit))
            }
        }
    }

    /// Waits for an answer that the engine always has, as of who it is and what it runs.
    async fn ask_engine<T>(
        &self,
        op: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => self.settled(op, answer),
            Err(_) => {
                self.forget_client();
                Err(Failure::silent(op, &self.host, limit))
            }
        }
    }

    fn settled<T>(
        &self,
        op: &'static str,
        answer: Result<T, bollard::errors::Error>,
    ) -> Result<T, Failure> {
        answer.map_err(|error| {
            let failure = Failure::new(op, &self.host, error);
            if failure.unreachable() {
                self.forget_client();
            }
            failure
        })
    }

    fn forget_client(&self) {
        *held(&self.client) = None;
    }
}

/// The data behind these locks is replaced whole, so a panic elsewhere cannot have broken it.
fn held<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets one task at a time make each named thing.
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

#[cfg(test)]
mod tests {
    use super::scripted::Scripted;
    use super::*;
    use crate::engine::ErrorKind;
    use serde_json::json;
    use std::future::pending;

    #[tokio::test]
    async fn a_call_that_hangs_while_lists_answer_is_one_containers_failure() {
        let scripted = Scripted::new([("/containers/json", json!([]))]);
        let daemon = scripted.daemon();
        let limit = Duration::from_millis(5);
        let hangs = daemon.ask("remove the container", limit, pending::<Result<(), _>>());
        let error = EngineError::from(hangs.await.unwrap_err());
        assert_eq!(error.kind, ErrorKind::Failed);
        assert_eq!(
            error.to_string(),
            "remove the container: Docker did not finish this within 5ms, though it lists containers"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_does_not_even_list_is_away() {
        let daemon = Scripted::new([]);
        let hangs = daemon
            .docker()
            .stop(&ReplicaId::new("a"), Duration::ZERO)
            .await;
        assert_eq!(hangs.unwrap_err().kind, ErrorKind::Unreachable);
    }
}
