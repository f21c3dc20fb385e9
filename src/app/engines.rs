//! Engines that run replicas; the only file of this room that knows which ones there are.

use super::start_error::{StartError, system};
use crate::engine::docker::{Docker, Host};
use crate::engine::{Engine, EngineError};
use crate::service::replica::{Observed, ReplicaId};
use futures_util::stream::BoxStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use crate::engine::docker::{IdentityCheck, ImageFacts, KEY_BYTES, LogLine, Seal};

/// An engine that needs longer is away, for now.
const ENGINE_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The engine for the control loop: seals what it makes, and makes the check `claim` before it uses
/// a daemon.
pub fn connect(
    instance: &str,
    seal: Arc<Seal>,
    claim: IdentityCheck,
) -> Result<Arc<dyn Engine>, StartError> {
    let docker = Docker::connect(instance).map_err(|error| system(&error))?;
    Ok(Arc::new(docker.sealing(seal).claiming(claim)))
}

/// The engine for a dry run, which may have no key.
pub fn connect_to_look(instance: &str, seal: Option<Arc<Seal>>) -> Result<impl Engine, StartError> {
    let docker = Docker::connect(instance).map_err(|error| system(&error))?;
    Ok(match seal {
        Some(seal) => docker.sealing(seal),
        None => docker,
    })
}

/// The socket through which the engine is reached; `None`: it is reached in another way.
pub fn socket() -> Option<PathBuf> {
    match Host::from_env() {
        Ok(Host::Unix(socket)) => Some(socket),
        _ => None,
    }
}

/// The daemon's identity; `None`: no daemon answers yet.
pub fn identity(instance: &str) -> Result<Option<String>, StartError> {
    // A client of its own: its connections end with this runtime.
    let docker = Docker::connect(instance).map_err(|error| system(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    runtime.block_on(async {
        let asked = tokio::time::timeout(ENGINE_ANSWERS_WITHIN, docker.identity());
        Ok(asked.await.ok().and_then(Result::ok))
    })
}

/// Facts from the metadata of an image, which is pulled when it is not here.
pub fn image_facts(image: &str) -> Result<ImageFacts, StartError> {
    // No containers are looked at, so it is nobody's instance.
    let docker = Docker::connect("none").map_err(|error| system(&error))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let facts = runtime.block_on(docker.image_facts(image));
    facts.map_err(|error| system(&error))
}

/// Logs of the replicas of an instance.
#[derive(Clone)]
pub struct ReplicaLogs(Docker);

impl ReplicaLogs {
    pub fn of(instance: &str) -> Result<ReplicaLogs, StartError> {
        let docker = Docker::connect(instance).map_err(|error| system(&error))?;
        Ok(ReplicaLogs(docker))
    }

    pub async fn replicas(&self) -> Result<Vec<Observed>, EngineError> {
        Ok(self.0.observe().await?.replicas)
    }

    /// The `last` lines of one replica, and with `follow` those that come.
    pub fn log(
        &self,
        id: &ReplicaId,
        last: Option<u32>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine, EngineError>> {
        self.0.log(id, last, follow)
    }

    /// An item whenever a replica may have come or gone.
    pub fn changes(&self) -> BoxStream<'static, ()> {
        self.0.changes()
    }
}
