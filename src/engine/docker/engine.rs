//! The engine, as the control loop uses it.

use super::daemon::{Daemon, IdentityCheck};
use super::event;
use super::host::Host;
use super::labels::Seal;
use crate::engine::{Abilities, Engine, EngineError, Place, World};
use crate::service::replica::ReplicaId;
use crate::service::spec::{ImageId, Pull, Slot, Spec};
use crate::service::usage::Usage;
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use std::sync::Arc;
use std::time::Duration;

/// The Docker engine.
#[derive(Clone)]
pub struct Docker {
    pub(super) daemon: Arc<Daemon>,
}

impl Docker {
    /// The daemon that `DOCKER_HOST` names. Fails only when that is malformed; each call
    /// finds out whether the daemon answers.
    pub fn connect(instance: &str) -> Result<Docker, EngineError> {
        Docker::at(Host::from_env()?, instance)
    }

    /// The daemon at `host`; fails only when its certificates cannot be used.
    pub fn at(host: Host, instance: &str) -> Result<Docker, EngineError> {
        host.check()?;
        let daemon = Arc::new(Daemon::new(host, instance));
        Ok(Docker { daemon })
    }

    /// Seals new containers, and trusts labels with this seal. Without a seal, labels that another
    /// one sealed count as much as unsealed ones.
    pub fn sealing(mut self, seal: Arc<Seal>) -> Docker {
        self.alone().seal = Some(seal);
        self
    }

    /// Calls `claim` with the identity of a daemon before that is used, also after it was away. A
    /// refused daemon is left alone.
    pub fn claiming(mut self, claim: IdentityCheck) -> Docker {
        self.alone().claim = Some(claim);
        self
    }

    fn alone(&mut self) -> &mut Daemon {
        Arc::get_mut(&mut self.daemon).expect("nobody has a copy while it is made")
    }
}

#[async_trait]
impl Engine for Docker {
    async fn observe(&self) -> Result<World, EngineError> {
        Ok(World::here(self.daemon.observe().await?))
    }

    fn can(&self) -> Abilities {
        Abilities::ALL
    }

    async fn fetch_image(&self, spec: &Spec) -> Result<(), EngineError> {
        self.daemon.fetch_image(spec).await
    }

    async fn start(
        &self,
        spec: &Spec,
        slot: Slot,
        generation: u64,
        _place: &Place,
    ) -> Result<ReplicaId, EngineError> {
        self.daemon.start(spec, slot, generation).await
    }

    async fn resolve(&self, image: &str, pull: Pull) -> Result<ImageId, EngineError> {
        self.daemon.resolve(image, pull).await
    }

    async fn last_logs(&self, id: &ReplicaId) -> Vec<String> {
        self.read_last_logs(id).await
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
