//! What the engine is told to do, and what becomes of it.

use crate::control::event_loop::Control;
use crate::control::input::Input;
use crate::control::service::fleet::image::{Fetch, Image};
use crate::engine::EngineError;
use crate::plan::{Action, Reason};
use crate::service::event::Event;
use crate::service::replica::ReplicaId;
use crate::service::spec::{ServiceName, Slot};
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

impl Control {
    pub(super) fn act(&mut self, service: &ServiceName, action: Action, now: Moment) {
        let generation = self.next_generation();
        let state = self.services.get_mut(service).expect("planned for");
        let engine = Arc::clone(&self.engine);
        let sender = self.sender.clone();
        let service = service.clone();
        match action {
            Action::FetchImage { slot, .. } => self.fetch_image(&service, slot, generation),
            Action::Start { slot, because } => {
                let Some(spec) = state.starting(slot, generation, now, because) else {
                    return;
                };
                (self.sink)(&Event::Starting {
                    service: service.clone(),
                    slot,
                });
                tokio::spawn(async move {
                    let result = engine.start(&spec, slot, generation).await;
                    let _ = sender
                        .send(Input::Started {
                            service,
                            slot,
                            result,
                        })
                        .await;
                });
            }
            Action::Drain { id, because, .. } => state.drain(&id, because, now, &self.sink),
            Action::Return { id, because, .. } => state.take_back(&id, because, &self.sink),
            Action::Pause { id, because, .. } => {
                if state.pausing(&id, &because, now, &self.sink) {
                    self.freeze(service, id, true);
                }
            }
            Action::Resume { id, .. } => {
                if state.resuming(&id) {
                    self.freeze(service, id, false);
                }
            }
            Action::Stop {
                id, grace, because, ..
            } => {
                let is_first = state.is_first_stop(&id);
                let slot = state.stopping(&id, &because, grace, now, &self.sink);
                let failed = slot.filter(|_| is_first && matches!(because, Reason::Ailing(_)));
                tokio::spawn(async move {
                    if let Some(slot) = failed {
                        let said = Input::SaidLast {
                            service: service.clone(),
                            slot,
                            words: engine.last_words(&id).await,
                            id: id.clone(),
                        };
                        let _ = sender.send(said).await;
                    }
                    let result = engine.stop(&id, grace).await;
                    let _ = sender
                        .send(Input::Stopped {
                            service,
                            id,
                            result,
                        })
                        .await;
                });
            }
        }
    }

    pub(in crate::control) fn fetch_image(
        &mut self,
        service: &ServiceName,
        slot: Slot,
        generation: u64,
    ) {
        let now = self.now();
        let state = self.services.get_mut(service).expect("planned for");
        let (Some(managed), Some(version)) = (&state.managed, &state.version) else {
            return;
        };
        let (spec, of) = (Arc::clone(&managed.spec), version.hash.clone());
        let fetch = Fetch {
            service: service.clone(),
            slot,
            generation,
            of: of.clone(),
        };
        state.image = Image::Coming { of, since: now };
        let (engine, sender) = (Arc::clone(&self.engine), self.sender.clone());
        tokio::spawn(async move {
            let result = engine.fetch_image(&spec).await;
            let _ = sender.send(Input::Fetched { fetch, result }).await;
        });
    }

    pub(in crate::control) fn fetched(&mut self, fetch: &Fetch, result: Result<(), EngineError>) {
        let (now, sequence) = (self.now(), self.observing.sequence);
        if let Some(state) = self.services.get_mut(&fetch.service) {
            state.fetched(fetch, result, sequence, now, &self.sink);
        }
        self.observing.wanted = true;
    }

    /// Has a replica paused, or run again.
    fn freeze(&self, service: ServiceName, id: ReplicaId, paused: bool) {
        let (engine, sender) = (Arc::clone(&self.engine), self.sender.clone());
        tokio::spawn(async move {
            let result = match paused {
                true => engine.pause(&id).await,
                false => engine.resume(&id).await,
            };
            let frozen = Input::Frozen {
                service,
                id,
                paused,
                result,
            };
            let _ = sender.send(frozen).await;
        });
    }

    pub(super) fn started(
        &mut self,
        service: &ServiceName,
        slot: Slot,
        result: Result<ReplicaId, EngineError>,
    ) {
        let now = self.now();
        let sequence = self.observing.sequence;
        let Some(state) = self.services.get_mut(service) else {
            return;
        };
        match result {
            Ok(_) => state.start_done(slot, sequence),
            Err(error) => state.start_failed(slot, &error, sequence, now, &self.sink),
        }
        self.observing.wanted = true;
    }

    pub(super) fn stopped(
        &mut self,
        service: &ServiceName,
        id: &ReplicaId,
        result: Result<(), EngineError>,
    ) {
        let now = self.now();
        if let Some(state) = self.services.get_mut(service) {
            state.stopped(id, &result, now, &self.sink);
        }
        if result.is_ok() {
            self.gone.insert(id.clone(), self.observing.sequence);
        }
        self.observing.wanted = true;
    }

    pub(super) fn frozen(
        &mut self,
        service: &ServiceName,
        id: &ReplicaId,
        paused: bool,
        result: Result<(), EngineError>,
    ) {
        let (now, sequence) = (self.now(), self.observing.sequence);
        if let Some(state) = self.services.get_mut(service) {
            state.frozen(id, paused, &result, sequence, now, &self.sink);
            // One that runs again is asked after its health at once.
            state.probe_all(&self.sender, &self.sink);
        }
        self.observing.wanted = true;
    }

    /// Greater than any that was ever given out, also before a restart: wall-clock milliseconds,
    /// or one more than the greatest one seen.
    fn next_generation(&mut self) -> u64 {
        let clock = wall_clock().as_millis() as u64;
        self.last_generation = self.last_generation.saturating_add(1).max(clock);
        self.last_generation
    }
}

pub(super) fn wall_clock() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}
