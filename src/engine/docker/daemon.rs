//! One Docker daemon: a client for it, and calls that always end.

use super::error::CallFailure;
use super::host::Host;
use super::known_images::KnownImages;
use super::labels::Seal;
use super::lock::held;
use super::pulls::Pulls;
use super::recent_events::RecentEvents;
use super::turns::Turns;
use super::version;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Timeout of a query, which takes milliseconds; a daemon that needs longer is stuck.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Check of a daemon's identity before that daemon is used; an error says why it may not be.
pub type IdentityCheck = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// One Docker daemon, and the instance whose containers are looked at there.
pub struct Daemon {
    pub host: Host,
    pub instance: String,
    /// Set while the daemon answers; renegotiated afterwards, because it may come back as another
    /// version.
    client: Mutex<Option<bollard::Docker>>,
    pub recent: RecentEvents,
    pub turns: Turns,
    pub pulls: Pulls,
    /// Containers whose broken labels have been logged.
    pub broken: Mutex<HashSet<String>>,
    pub images: KnownImages,
    pub seal: Option<Arc<Seal>>,
    pub claim: Option<IdentityCheck>,
}

impl Daemon {
    pub fn new(host: Host, instance: &str) -> Daemon {
        Daemon {
            host,
            instance: instance.to_owned(),
            client: Mutex::new(None),
            recent: RecentEvents::default(),
            turns: Turns::default(),
            pulls: Pulls::default(),
            broken: Mutex::new(HashSet::new()),
            images: KnownImages::default(),
            seal: None,
            claim: None,
        }
    }

    /// A client whose API version suits the daemon.
    pub async fn client(&self, op: &'static str) -> Result<bollard::Docker, CallFailure> {
        if let Some(client) = held(&self.client).clone() {
            return Ok(client);
        }
        let client = self.host.client();
        let client = client.map_err(|error| CallFailure::new(op, &self.host, error))?;
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

    /// Waits for a call about one thing for `limit` at most.
    ///
    /// A single container can hang in Docker while everything else works. So a timeout alone does
    /// not mean that the engine is away; a listing that fails as well does.
    pub async fn ask<T>(
        &self,
        op: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, CallFailure> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => self.settled(op, answer),
            Err(_) => {
                self.list(op).await?;
                Err(CallFailure::stuck(op, limit))
            }
        }
    }

    /// Waits for a call that a working engine always answers; a timeout means that it is away.
    pub async fn ask_engine<T>(
        &self,
        op: &'static str,
        limit: Duration,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, CallFailure> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => self.settled(op, answer),
            Err(_) => {
                self.forget_client();
                Err(CallFailure::silent(op, &self.host, limit))
            }
        }
    }

    fn settled<T>(
        &self,
        op: &'static str,
        answer: Result<T, bollard::errors::Error>,
    ) -> Result<T, CallFailure> {
        answer.map_err(|error| {
            let failure = CallFailure::new(op, &self.host, error);
            if failure.unreachable() {
                self.forget_client();
            }
            failure
        })
    }

    pub fn forget_client(&self) {
        *held(&self.client) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::scripted::Scripted;
    use crate::engine::{Engine, EngineError, ErrorKind};
    use crate::service::replica::ReplicaId;
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
