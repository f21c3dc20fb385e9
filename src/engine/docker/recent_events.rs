//! Recent events, which are ahead of listings.
//!
//! Docker announces the end of a process first, then cleans up after it, and lists it as running until
//! that is done: 50 to 280 ms with 20.10. A listing at the event would show nothing new, and no second
//! event follows. So recent events correct listings for a while.

use super::lock::held;
use crate::service::replica::{Observed, ReplicaId, RunState};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Time after which listings are right, or something is wrong that old events must not hide.
const TRUSTED: Duration = Duration::from_secs(5);

/// An event of Docker's, as far as it is read here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerEvent {
    action: Option<String>,
    actor: Option<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "ID")]
    id: Option<String>,
    #[serde(rename = "Attributes", default)]
    attributes: Value,
}

#[derive(Default)]
/// States of containers by their last event, by id.
pub struct RecentEvents {
    states: Mutex<HashMap<String, (RunState, Instant)>>,
}

impl RecentEvents {
    pub fn note(&self, event: &ContainerEvent) {
        let Some(actor) = &event.actor else { return };
        let state = match event.action.as_deref() {
            Some("start" | "unpause") => RunState::Running,
            Some("pause") => RunState::Paused,
            Some("die") => {
                let code = actor.attributes.get("exitCode").and_then(Value::as_str);
                let code = code.and_then(|code| code.parse().ok());
                RunState::Exited { code }
            }
            _ => return,
        };
        if let Some(id) = actor.id.clone() {
            held(&self.states).insert(id, (state, Instant::now()));
        }
    }

    /// Notes a state that a call has just set. Events of earlier states may still arrive, and the
    /// event of this one follows them.
    pub fn know(&self, id: &ReplicaId, state: RunState) {
        held(&self.states).insert(id.0.to_string(), (state, Instant::now()));
    }

    /// Forgets all events, after a gap in the stream.
    pub fn forget(&self) {
        held(&self.states).clear();
    }

    /// Corrects a listing.
    pub fn correct(&self, seen: &mut [Observed]) {
        let mut states = held(&self.states);
        states.retain(|_, (_, at)| at.elapsed() <= TRUSTED);
        for replica in seen {
            let Some((state, _)) = states.get(&*replica.id.0) else {
                continue;
            };
            if let RunState::Exited { .. } = state {
                replica.addresses.clear();
            }
            replica.state = state.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::spec::{ServiceName, SpecHash};

    fn hear(events: &RecentEvents, action: &str) {
        let event = serde_json::json!({
            "Type": "container",
            "Action": action,
            "Actor": { "ID": "c0ffee", "Attributes": { "exitCode": "137" } },
        });
        events.note(&serde_json::from_value(event).unwrap());
    }

    fn state_when_listed_as(events: &RecentEvents, state: RunState) -> RunState {
        let mut seen = [Observed {
            service: ServiceName::new("web"),
            id: ReplicaId::new("c0ffee"),
            slot: 8000,
            generation: 1,
            spec: SpecHash::new("a"),
            made: None,
            image: None,
            state,
            addresses: vec![([127, 0, 0, 1], 8000).into()],
        }];
        events.correct(&mut seen);
        let exited = matches!(seen[0].state, RunState::Exited { .. });
        assert_eq!(seen[0].addresses.is_empty(), exited);
        seen[0].state.clone()
    }

    #[tokio::test(start_paused = true)]
    async fn the_newest_event_counts_more_than_the_list() {
        let events = RecentEvents::default();
        let exited = RunState::Exited { code: Some(137) };
        hear(&events, "pause");
        assert_eq!(
            state_when_listed_as(&events, RunState::Running),
            RunState::Paused
        );
        hear(&events, "unpause");
        assert_eq!(
            state_when_listed_as(&events, RunState::Paused),
            RunState::Running
        );
        hear(&events, "kill");
        hear(&events, "die");
        for _ in 0..2 {
            assert_eq!(state_when_listed_as(&events, RunState::Running), exited);
        }
        hear(&events, "start");
        assert_eq!(
            state_when_listed_as(&events, RunState::Running),
            RunState::Running
        );
    }

    #[tokio::test(start_paused = true)]
    async fn hearsay_grows_old() {
        let events = RecentEvents::default();
        hear(&events, "die");
        tokio::time::advance(TRUSTED * 2).await;
        assert_eq!(
            state_when_listed_as(&events, RunState::Running),
            RunState::Running
        );
        assert!(held(&events.states).is_empty());
        hear(&events, "die");
        events.forget();
        assert_eq!(
            state_when_listed_as(&events, RunState::Running),
            RunState::Running
        );
    }
}
