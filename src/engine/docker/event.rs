//! Docker's events, reduced to "look again".

use super::daemon::{Daemon, LOOK_TIMEOUT};
use super::json::{lines, target};
use super::labels;
use super::recent_events::ContainerEvent;
use bytes::BytesMut;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Silence after which the daemon is queried, because a host that vanished from the network closes no
/// connection.
const QUIET: Duration = Duration::from_secs(30);

/// Time before a subscription whose events it includes, so that none between a listing and the
/// subscription is missed, also when the clock of a remote daemon is a little off.
const OVERLAP: Duration = Duration::from_secs(2);

const OP: &str = "watch the containers";

/// Events that may change a replica's state. Docker filters the rest, above all the `exec_*` of health
/// checks, which come every second.
const ACTIONS: [&str; 8] = [
    "start",
    "die",
    "oom",
    "kill",
    "pause",
    "unpause",
    "health_status",
    "destroy",
];

pub(super) fn changes(daemon: Arc<Daemon>) -> BoxStream<'static, ()> {
    let watch = Subscription {
        daemon,
        events: None,
        since: Instant::now(),
        backoff: BACKOFF_MIN,
    };
    stream::unfold(watch, |mut watch| async move {
        watch.next().await;
        Some(((), watch))
    })
    .boxed()
}

struct Subscription {
    daemon: Arc<Daemon>,
    events: Option<BoxStream<'static, Result<BytesMut, bollard::errors::Error>>>,
    /// Begin of the subscription.
    since: Instant,
    backoff: Duration,
}

impl Subscription {
    /// Returns when there is a reason to list again: an event, or a reconnection.
    async fn next(&mut self) {
        loop {
            let Some(events) = &mut self.events else {
                return self.subscribe().await;
            };
            let lost = match tokio::time::timeout(QUIET, events.next()).await {
                Ok(Some(Ok(event))) => {
                    note(&self.daemon, &event);
                    // Events that have piled up are one reason, not many.
                    while let Some(Some(Ok(event))) = events.next().now_or_never() {
                        note(&self.daemon, &event);
                    }
                    return;
                }
                Ok(Some(Err(error))) => error.to_string(),
                Ok(None) => "the stream ended".to_owned(),
                Err(_) => match ping(&self.daemon).await {
                    Ok(()) => continue,
                    Err(why) => why,
                },
            };
            log::debug!("Docker's events are lost: {lost}");
            self.events = None;
            self.daemon.recent.forget();
            self.daemon.forget_client();
            if self.since.elapsed() > BACKOFF_MAX {
                self.backoff = BACKOFF_MIN;
            }
            self.pause().await;
        }
    }

    async fn subscribe(&mut self) {
        let mut said = false;
        let client = loop {
            match self.daemon.client(OP).await {
                Ok(client) => break client,
                Err(failure) => {
                    if !said {
                        log::debug!("waiting for Docker: {}", failure.message());
                        said = true;
                    }
                    self.pause().await;
                }
            }
        };
        let since = (SystemTime::now() - OVERLAP)
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
        let (key, labels) = labels::filter(&self.daemon.instance);
        let filters = serde_json::json!({ key: labels, "type": ["container"], "event": ACTIONS });
        let filters = filters.to_string();
        let query = [("since", since.as_str()), ("filters", filters.as_str())];
        self.events = Some(lines(&client, target(&["events"], &query)));
        self.since = Instant::now();
        log::debug!("watching Docker's events");
    }

    async fn pause(&mut self) {
        tokio::time::sleep(self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }
}

/// An event that cannot be read is a reason to list, like any other.
fn note(daemon: &Daemon, event: &[u8]) {
    match serde_json::from_slice::<ContainerEvent>(event) {
        Ok(happening) => daemon.recent.note(&happening),
        Err(error) => log::debug!("an event of Docker's cannot be read: {error}"),
    }
}

async fn ping(daemon: &Daemon) -> Result<(), String> {
    let pong = async {
        let client = daemon.client(OP).await?;
        daemon.ask_engine(OP, LOOK_TIMEOUT, client.ping()).await
    };
    match pong.await {
        Ok(_) => Ok(()),
        Err(failure) => Err(failure.message().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::scripted::Scripted;
    use crate::service::replica::{Observed, ReplicaId, RunState};
    use crate::service::spec::{ServiceName, SpecHash};
    use serde_json::json;

    #[tokio::test]
    async fn an_event_that_cannot_be_read_ends_no_subscription() {
        let events = concat!(
            "{\"Type\":\"pod\",\"Action\":5}\n",
            "{\"Type\":\"novelty\",\"Action\":\"die\",\"Actor\":{\"ID\":\"a\",",
            "\"Attributes\":{\"exitCode\":\"3\",\"odd\":[1]}}}\n",
        );
        let daemon = Scripted::new([("/events", json!(events))]);
        let mut changes = changes(daemon.daemon());
        // The first change is the subscription itself.
        changes.next().await;
        let mut seen = [Observed {
            service: ServiceName::new("web"),
            id: ReplicaId::new("a"),
            slot: 8000,
            generation: 1,
            spec: SpecHash::new("a"),
            made: None,
            image: None,
            state: RunState::Running,
            addresses: Vec::new(),
        }];
        while seen[0].state == RunState::Running {
            changes.next().await;
            daemon.daemon().recent.correct(&mut seen);
        }
        assert_eq!(seen[0].state, RunState::Exited { code: Some(3) });
    }
}
