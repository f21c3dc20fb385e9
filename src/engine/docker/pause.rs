//! Pausing and resuming a container.

use super::daemon::{Daemon, LOOK_TIMEOUT};
use crate::engine::EngineError;
use crate::service::replica::{ReplicaId, RunState};

const PAUSE: &str = "pause the container";
const RESUME: &str = "resume the container";

impl Daemon {
    pub(super) async fn pause(&self, id: &ReplicaId) -> Result<(), EngineError> {
        let client = self.client(PAUSE).await?;
        let call = client.pause_container(&id.0);
        match self.ask(PAUSE, LOOK_TIMEOUT, call).await {
            Err(failure) if !self.is_paused(PAUSE, id, true).await => return Err(failure.into()),
            _ => {}
        }
        self.recent.know(id, RunState::Paused);
        Ok(())
    }

    pub(super) async fn resume(&self, id: &ReplicaId) -> Result<(), EngineError> {
        let client = self.client(RESUME).await?;
        let call = client.unpause_container(&id.0);
        match self.ask(RESUME, LOOK_TIMEOUT, call).await {
            Err(failure) if !self.is_paused(RESUME, id, false).await => {
                return Err(failure.into());
            }
            _ => {}
        }
        self.recent.know(id, RunState::Running);
        Ok(())
    }

    /// Whether the container is in the wanted state already, in which Docker refuses the call.
    async fn is_paused(&self, op: &'static str, id: &ReplicaId, paused: bool) -> bool {
        let Ok(client) = self.client(op).await else {
            return false;
        };
        let container = self.inspect(&client, op, id).await;
        let state = container.ok().and_then(|container| container.state);
        state.is_some_and(|state| state.running && state.paused == paused)
    }
}
