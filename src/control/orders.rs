//! Orders of people and of other processes.

use crate::control::command::{Authority, Command, Deployed};
use crate::control::event_loop::Control;
use crate::control::input::LoopInput;
use crate::control::service::ServiceState;
use crate::control::turn::Turn;
use crate::engine::EngineError;
use crate::service::spec::{ImageId, ServiceName, Template};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

impl Control {
    pub(super) fn ordered(&mut self, command: Command) {
        match command {
            Command::Reconfigure {
                services,
                images,
                done,
            } => {
                let notes = self.reconfigure(services, images);
                self.settle();
                let _ = done.send(notes);
            }
            Command::Deploy {
                service,
                image,
                done,
            } => self.deploy(&service, image, done),
            Command::Scale {
                service,
                replicas,
                done,
            } => {
                let (state, turn) = self.in_hand(&service);
                let scaled = state.and_then(|state| state.scale_by_hand(replicas, &turn));
                // The next snapshot shows the result to the caller.
                self.settle();
                let _ = done.send(scaled);
            }
            Command::Drain {
                service,
                slot,
                done,
            } => {
                let (state, _) = self.in_hand(&service);
                let _ = done.send(state.and_then(|state| state.replace(slot)));
            }
            Command::Answer { done } => drop(done.send(())),
            Command::RemoveAll { done } => self.removing = Some(done),
            Command::Left { done } => {
                let left = self.services.values().flat_map(ServiceState::left);
                let _ = done.send(left.collect());
            }
            Command::Authorize {
                authority,
                wanted,
                done,
            } => self.authorize(authority, wanted, done),
        }
    }

    /// A service that may be changed by hand now, and the turn for it.
    fn in_hand(&mut self, service: &str) -> (Result<&mut ServiceState, String>, Turn<'_>) {
        let turn = self.outside.turn(self.observing.sequence);
        if self.authority == Authority::ReadOnly {
            let why = "another process is taking over; ask that one".to_owned();
            return (Err(why), turn);
        }
        if !self.services.contains_key(service) {
            let known = self.services.keys().map(|name| format!("`{name}`"));
            let known = known.collect::<Vec<_>>().join(", ");
            let why = format!("there is no service `{service}`; there is {known}");
            return (Err(why), turn);
        }
        let state = self.services.get_mut(service);
        (state.ok_or_else(String::new), turn)
    }

    fn deploy(
        &mut self,
        service: &str,
        image: Option<String>,
        done: oneshot::Sender<Result<Deployed, String>>,
    ) {
        let (state, _) = self.in_hand(service);
        let (template, spec) = match state.and_then(|state| state.to_deploy(image)) {
            Ok(found) => found,
            Err(why) => return drop(done.send(Err(why))),
        };
        let (engine, sender) = (Arc::clone(&self.engine), self.outside.sender.clone());
        tokio::spawn(async move {
            let result = engine.resolve(&template.image, spec.pull).await;
            let resolved = LoopInput::Resolved {
                service: spec.name,
                template: Box::new(template),
                result,
                done,
            };
            let _ = sender.send(resolved).await;
        });
    }

    pub(super) fn resolved(
        &mut self,
        service: &ServiceName,
        template: Template,
        result: Result<ImageId, EngineError>,
        done: oneshot::Sender<Result<Deployed, String>>,
    ) {
        let deployed = result.map_err(|error| error.to_string()).and_then(|id| {
            let (state, turn) = self.in_hand(service.as_str());
            let state = state?;
            let template = Template {
                image_id: Some(id),
                ..template
            };
            Ok(state.deploy(template, &turn))
        });
        // The next snapshot shows the deploy under way.
        self.settle();
        let _ = done.send(deployed);
    }

    fn authorize(
        &mut self,
        authority: Authority,
        wanted: BTreeMap<ServiceName, u32>,
        done: oneshot::Sender<()>,
    ) {
        let before = std::mem::replace(&mut self.authority, authority);
        self.stepping_back = None;
        if authority == Authority::ReadOnly {
            self.stepping_back = Some(done);
            return;
        }
        if before == Authority::ReadOnly {
            // Listings until now are void: another process may have made changes since.
            self.inherited = wanted;
            self.observing.plans_after = self.observing.sequence;
            self.observing.fresh = false;
            self.observing.wanted = true;
        }
        let _ = done.send(());
    }

    /// Only replicas that are known can be removed.
    fn knows_all(&self) -> bool {
        self.observing.seen_once || !self.needs_engine()
    }

    pub(super) fn remove_if_told(&mut self) {
        if self.removing.is_some() && self.knows_all() {
            self.services.values_mut().for_each(ServiceState::remove);
        }
    }

    pub(super) fn finish_removing(&mut self) {
        let gone = self.knows_all() && self.services.values().all(ServiceState::is_empty);
        if gone && let Some(done) = self.removing.take() {
            let _ = done.send(());
        }
    }

    pub(super) fn finish_stepping_back(&mut self) {
        let busy = self.services.values().any(ServiceState::is_busy);
        if !busy && let Some(done) = self.stepping_back.take() {
            let _ = done.send(());
        }
    }
}
