//! Stopping a container: stop signal, kill, removal.

use super::daemon::Daemon;
use super::error::{CallFailure, failed};
use super::labels::{self, Found, vouched};
use crate::engine::EngineError;
use crate::service::replica::ReplicaId;
use bollard::query_parameters::{
    RemoveContainerOptions, StopContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt;
use jiff::Timestamp;
use std::time::Duration;

/// Timeout of a removal, which takes a tenth of a second, and many on a busy disk.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(30);

const OP: &str = "stop the container";

impl Daemon {
    pub(super) async fn stop(&self, id: &ReplicaId, grace: Duration) -> Result<(), EngineError> {
        let client = self.client(OP).await?;
        let container = match self.inspect(&client, OP, id).await {
            Err(failure) if failure.is(404) => return Ok(()),
            other => other?,
        };
        let own = container.config.and_then(|config| config.labels);
        let own = own.unwrap_or_default();
        if !labels::is_ours(&self.instance, &own) {
            let message = format!("container {id} does not carry our labels and is left alone");
            return Err(failed(OP, message));
        }
        let image = match &container.image {
            Some(image) => self.labels_of_image(&client, image).await?,
            None => None,
        };
        let created = container.created.and_then(|at| at.parse().ok());
        let found = Found {
            name: container
                .name
                .as_deref()
                .unwrap_or_default()
                .trim_start_matches('/'),
            labels: &own,
            created: created.and_then(|at: Timestamp| u64::try_from(at.as_second()).ok()),
            image: image.as_deref(),
        };
        if let Err(why) = vouched(&found, self.seal.as_deref()) {
            let message = format!("container {id} carries our labels and is left alone: {why}");
            return Err(failed(OP, message));
        }
        let state = container.state.unwrap_or_default();
        if state.running && !grace.is_zero() {
            if state.paused
                && let Err(error) = self.resume(id).await
            {
                log::debug!("container {id} goes by force: {error}");
            }
            self.ask_to_end(&client, id, grace).await?;
        }
        self.remove(&client, &id.0).await?;
        Ok(())
    }

    /// Sends the image's stop signal and waits until the process has ended, at most for `grace`.
    async fn ask_to_end(
        &self,
        client: &bollard::Docker,
        id: &ReplicaId,
        grace: Duration,
    ) -> Result<(), CallFailure> {
        // Docker counts in whole seconds; it gets the next one up, and the removal that follows
        // cuts it short to the millisecond.
        let seconds = i32::try_from(grace.as_secs()).map_or(i32::MAX, |s| s.saturating_add(1));
        let options = StopContainerOptions {
            t: Some(seconds),
            signal: None,
        };
        let stop = client.stop_container(&id.0, Some(options));
        match tokio::time::timeout(grace, stop).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let failure = CallFailure::new(OP, &self.host, error);
                if failure.unreachable() {
                    self.forget_client();
                    return Err(failure);
                }
                log::debug!("container {id} goes by force: {}", failure.message());
            }
            Err(_) => log::debug!("container {id} is still running after its grace period"),
        }
        Ok(())
    }

    /// Kills what still runs and removes the container with its anonymous volumes. Returns when
    /// it is gone.
    pub(super) async fn remove(
        &self,
        client: &bollard::Docker,
        id: &str,
    ) -> Result<(), CallFailure> {
        let options = RemoveContainerOptions {
            force: true,
            v: true,
            link: false,
        };
        let removal = client.remove_container(id, Some(options));
        match self
            .ask("remove the container", REMOVE_TIMEOUT, removal)
            .await
        {
            Err(failure) if failure.is(404) => Ok(()),
            // Somebody else is removing it.
            Err(failure) if failure.is(409) => self.wait_until_gone(client, id).await,
            other => other,
        }
    }

    async fn wait_until_gone(&self, client: &bollard::Docker, id: &str) -> Result<(), CallFailure> {
        let options = WaitContainerOptions {
            condition: "removed".into(),
        };
        let mut ends = client.wait_container(id, Some(options));
        let end = async {
            match ends.next().await {
                // The error is the process's exit code: not ours to judge.
                Some(Err(bollard::errors::Error::DockerContainerWaitError { .. })) | None => Ok(()),
                Some(answer) => answer.map(drop),
            }
        };
        match self.ask("await the removal", REMOVE_TIMEOUT, end).await {
            Err(failure) if failure.is(404) => Ok(()),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::docker::inspect::Container;
    use crate::engine::docker::json::parsed;

    #[test]
    fn a_container_in_a_state_of_podmans_can_be_stopped() {
        let inspected = br#"{
            "State": { "Status": "stopped", "Running": false, "Health": { "Status": "odd" } },
            "Config": { "Labels": { "io.tidegate.managed": "true" } },
            "HostConfig": { "RestartPolicy": { "Name": "whenever" } }
        }"#;
        let container: Container = parsed("look", inspected).unwrap();
        assert!(!container.state.unwrap().running);
        assert!(container.config.unwrap().labels.is_some());
    }
}
