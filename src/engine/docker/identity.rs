//! Identity of the daemon, whatever address it is reached by.

use super::daemon::{Daemon, LOOK_TIMEOUT};
use super::engine::Docker;
use super::error::CallFailure;
use super::json::{answer, target};
use crate::engine::EngineError;
use serde_json::Value;

const OP: &str = "identify the daemon";

impl Docker {
    /// The daemon's own id; its address, if it has none or does not tell.
    pub async fn identity(&self) -> Result<String, EngineError> {
        let client = self.daemon.client(OP).await?;
        Ok(self.daemon.identity(OP, &client).await?)
    }
}

impl Daemon {
    pub(super) async fn claim(
        &self,
        op: &'static str,
        client: &bollard::Docker,
    ) -> Result<(), CallFailure> {
        let Some(claim) = &self.claim else {
            return Ok(());
        };
        let identity = self.identity(op, client).await?;
        claim(&identity).map_err(|why| CallFailure::not_for_us(op, why))
    }

    async fn identity(
        &self,
        op: &'static str,
        client: &bollard::Docker,
    ) -> Result<String, CallFailure> {
        let first = self.id(op, client).await?;
        // Podman makes up a new id for each answer.
        let is_kept = first.is_some() && self.id(op, client).await? == first;
        let id = first.filter(|_| is_kept);
        Ok(id.unwrap_or_else(|| self.host.place()))
    }

    async fn id(
        &self,
        op: &'static str,
        client: &bollard::Docker,
    ) -> Result<Option<String>, CallFailure> {
        let asked = answer(client, target(&["info"], &[]));
        match self.ask_engine(op, LOOK_TIMEOUT, asked).await {
            Ok(info) => {
                let info: Option<Value> = serde_json::from_slice(&info).ok();
                let id = info.as_ref().and_then(|info| info.get("ID")?.as_str());
                Ok(id.filter(|id| !id.is_empty()).map(str::to_owned))
            }
            Err(failure) if failure.unreachable() => Err(failure),
            // A filter in front of the daemon may keep this from us.
            Err(failure) => {
                log::debug!("the daemon has no id: {}", failure.message());
                Ok(None)
            }
        }
    }
}
