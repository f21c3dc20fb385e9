//! Calls of the engine, and their results.

use super::event_loop::Control;
use super::input::{Fetch, LoopInput};
use super::turn::wall_clock;
use crate::engine::{EngineError, Place};
use crate::plan::{Action, Reason};
use crate::service::event::Event;
use crate::service::replica::ReplicaId;
use crate::service::spec::{ServiceName, Slot};
use std::sync::Arc;

impl Control {
    pub(super) fn act(&mut self, service: &ServiceName, action: Action) {
        let generation = self.next_generation();
        let turn = self.outside.turn(self.observing.sequence);
        let state = self.services.get_mut(service).expect("planned for");
        let (engine, sender) = (Arc::clone(&self.engine), turn.sender());
        let service = service.clone();
        match action {
            Action::FetchImage { slot, .. } => {
                let Some((spec, fetch)) = state.fetching(slot, generation, &turn) else {
                    return;
                };
                tokio::spawn(async move {
                    let result = engine.fetch_image(&spec).await;
                    let _ = sender.send(LoopInput::Fetched { fetch, result }).await;
                });
            }
            Action::Start { slot, because } => {
                let Some(spec) = state.starting(slot, generation, because, &turn) else {
                    return;
                };
                let place = self.observing.places.first().cloned();
                let place = place.unwrap_or_else(Place::here);
                turn.emit(Event::Starting {
                    service: service.clone(),
                    slot,
                });
                tokio::spawn(async move {
                    let result = engine.start(&spec, slot, generation, &place).await;
                    let started = LoopInput::Started {
                        service,
                        slot,
                        result,
                    };
                    let _ = sender.send(started).await;
                });
            }
            Action::Drain { id, because, .. } => state.fleet_mut().drain(&id, &because, &turn),
            Action::Return { id, because, .. } => state.fleet_mut().take_back(&id, &because, &turn),
            Action::Pause { id, because, .. } => {
                if state.pausing(&id, &because, &turn) {
                    self.freeze(service, id, true);
                }
            }
            Action::Resume { id, .. } => {
                if state.fleet_mut().resuming(&id) {
                    self.freeze(service, id, false);
                }
            }
            Action::Stop {
                id, grace, because, ..
            } => {
                let Some((slot, is_first)) =
                    state.fleet_mut().removing(&id, &because, grace, &turn)
                else {
                    return;
                };
                let reads_logs = is_first && matches!(because, Reason::Ailing(_));
                tokio::spawn(async move {
                    if reads_logs {
                        let logs = LoopInput::LastLogs {
                            service: service.clone(),
                            slot,
                            lines: engine.last_logs(&id).await,
                            id: id.clone(),
                        };
                        let _ = sender.send(logs).await;
                    }
                    let result = engine.stop(&id, grace).await;
                    let stopped = LoopInput::Stopped {
                        service,
                        id,
                        result,
                    };
                    let _ = sender.send(stopped).await;
                });
            }
        }
    }

    /// Has a replica paused, or run again.
    fn freeze(&self, service: ServiceName, id: ReplicaId, paused: bool) {
        let (engine, sender) = (Arc::clone(&self.engine), self.outside.sender.clone());
        tokio::spawn(async move {
            let result = match paused {
                true => engine.pause(&id).await,
                false => engine.resume(&id).await,
            };
            let frozen = LoopInput::Frozen {
                service,
                id,
                paused,
                result,
            };
            let _ = sender.send(frozen).await;
        });
    }

    pub(super) fn fetched(&mut self, fetch: &Fetch, result: Result<(), EngineError>) {
        let turn = self.outside.turn(self.observing.sequence);
        if let Some(state) = self.services.get_mut(&fetch.service) {
            state.fetched(fetch, result, &turn);
        }
        self.observing.wanted = true;
    }

    pub(super) fn started(
        &mut self,
        service: &ServiceName,
        slot: Slot,
        result: Result<ReplicaId, EngineError>,
    ) {
        let turn = self.outside.turn(self.observing.sequence);
        let Some(state) = self.services.get_mut(service) else {
            return;
        };
        match result {
            Ok(_) => state.fleet_mut().start_done(slot, &turn),
            Err(error) => state.start_failed(slot, &error, &turn),
        }
        self.observing.wanted = true;
    }

    pub(super) fn stopped(
        &mut self,
        service: &ServiceName,
        id: &ReplicaId,
        result: Result<(), EngineError>,
    ) {
        let turn = self.outside.turn(self.observing.sequence);
        if let Some(state) = self.services.get_mut(service) {
            state.fleet_mut().removed(id, &result, &turn);
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
        let turn = self.outside.turn(self.observing.sequence);
        if let Some(state) = self.services.get_mut(service) {
            state.frozen(id, paused, &result, &turn);
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
