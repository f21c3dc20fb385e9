//! The list of this instance's containers.

use super::daemon::{Daemon, LOOK_TIMEOUT};
use super::error::CallFailure;
use super::json::{answer, parsed, target};
use super::labels::{filter, observed};
use super::listed::Listed;
use super::lock::held;
use crate::service::replica::{Observed, ReplicaId};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

impl Daemon {
    pub(super) async fn observe(&self) -> Result<Vec<Observed>, CallFailure> {
        const OP: &str = "list the containers";
        let listed = self.list(OP).await?;
        let client = self.client(OP).await?;
        // Many replicas run the same image.
        let mut gone = HashSet::new();
        let mut seen = Vec::with_capacity(listed.len());
        let mut broken = HashSet::new();
        for entry in &listed {
            let image = entry.get("ImageID").and_then(Value::as_str);
            let image = match image.filter(|image| !gone.contains(image)) {
                Some(id) => {
                    let labels = self.labels_of_image(&client, id).await?;
                    gone.extend(labels.is_none().then_some(id));
                    labels
                }
                None => None,
            };
            let seal = self.seal.as_deref();
            match Listed::deserialize(entry)
                .map_err(|error| format!("Docker lists it in an unknown form: {error}"))
                .and_then(|container| observed(&container, image.as_deref(), seal))
            {
                Ok(replica) => seen.extend(replica),
                Err(why) => {
                    let id = entry.get("Id").and_then(Value::as_str).unwrap_or_default();
                    self.complain_once(id, &why);
                    broken.insert(id.to_owned());
                }
            }
        }
        *held(&self.broken) = broken;
        self.recent.correct(&mut seen);
        Ok(seen)
    }

    /// All containers with this instance's labels. One that cannot be read hides no other.
    pub(super) async fn list(&self, op: &'static str) -> Result<Vec<Value>, CallFailure> {
        let client = self.client(op).await?;
        let (key, labels) = filter(&self.instance);
        let filters = serde_json::json!({ key: labels }).to_string();
        let query = [("all", "true"), ("filters", filters.as_str())];
        let listed = answer(&client, target(&["containers", "json"], &query));
        let listed = self.ask_engine(op, LOOK_TIMEOUT, listed).await?;
        parsed(op, &listed)
    }

    fn complain_once(&self, id: &str, why: &str) {
        if !held(&self.broken).contains(id) {
            let id = ReplicaId::new(id);
            log::warn!("container {id} is labelled as ours and is left alone: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;
    use crate::engine::docker::scripted::Scripted;
    use crate::service::replica::RunState;
    use serde_json::json;

    fn container(id: &str, slot: u16, state: Value) -> Value {
        json!({
            "Id": id,
            "Names": [format!("/tidegate-web-{slot}")],
            "ImageID": "sha256:1",
            "State": state,
            "Status": "Exited (3) 2 seconds ago",
            "Ports": [{ "Type": "quic" }],
            "NetworkSettings": { "Networks": { "podman": null } },
            "Labels": {
                "io.tidegate.managed": "true",
                "io.tidegate.instance": "test",
                "io.tidegate.service": "web",
                "io.tidegate.slot": slot.to_string(),
                "io.tidegate.spec": "abc",
                "io.tidegate.generation": "1",
                "io.tidegate.port": "80",
            },
        })
    }

    #[tokio::test]
    async fn an_entry_in_an_unknown_form_hides_no_other() {
        let list = json!([
            container("a", 8000, json!("running")),
            container("b", 8001, json!("stopped")),
            container("c", 8002, json!("levitating")),
            { "Id": "d", "Labels": [1] },
            5,
        ]);
        let image = json!({ "Id": "sha256:1" });
        let answers = [("/containers/json", list), ("/images/sha256:1/json", image)];
        let daemon = Scripted::new(answers);
        let seen = daemon.docker().observe().await.unwrap().replicas;
        let seen = seen.into_iter().map(|seen| (seen.slot, seen.state));
        let exited = RunState::Exited { code: Some(3) };
        assert_eq!(
            seen.collect::<Vec<_>>(),
            [(8000, RunState::Running), (8001, exited)]
        );
        let mut skipped: Vec<String> = held(&daemon.daemon().broken).iter().cloned().collect();
        skipped.sort();
        assert_eq!(skipped, ["", "c", "d"]);
    }
}
