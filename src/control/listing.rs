//! Listings of the engine, and its absence.

use crate::control::command::Authority;
use crate::control::event_loop::Control;
use crate::control::input::LoopInput;
use crate::control::service::ServiceState;
use crate::engine::{EngineError, World};
use crate::service::event::Event;
use crate::service::replica::{Observed, RunState};
use crate::service::spec::ServiceName;
use crate::service::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often the world is looked at when nothing says it changed: a missed event costs this much.
const RELIST_EVERY: Duration = Duration::from_secs(5);
/// The engine is asked again this often while it does not answer.
const ENGINE_RETRY_EVERY: Duration = Duration::from_millis(500);

impl Control {
    pub(super) fn observe_if_due(&mut self, now: Moment) {
        if !self.needs_engine() {
            return;
        }
        let due = self.observing.wanted || now >= self.observing.next;
        if self.observing.under_way || !due {
            return;
        }
        self.observing.sequence += 1;
        self.observing.under_way = true;
        self.observing.wanted = false;
        let sequence = self.observing.sequence;
        let (engine, sender) = (Arc::clone(&self.engine), self.outside.sender.clone());
        tokio::spawn(async move {
            let result = engine.observe().await;
            let _ = sender.send(LoopInput::Observed { sequence, result }).await;
        });
    }

    pub(super) fn observed(&mut self, sequence: u64, result: Result<World, EngineError>) {
        let now = self.now();
        self.observing.under_way = false;
        let world = match result {
            Ok(world) if !world.fresh => {
                // An old copy says nothing of now; what was known stays.
                self.observing.next = now + ENGINE_RETRY_EVERY;
                return;
            }
            Ok(world) => world,
            Err(error) => return self.engine_is_away(&error),
        };
        let mut seen = world.replicas;
        self.observing.places = world.places;
        let first = !self.observing.seen_once;
        if !self.engine_up || first {
            (self.outside.sink)(&Event::EngineUp);
        }
        self.engine_up = true;
        self.engine_lost = None;
        self.observing.seen_once = true;
        self.observing.fresh |= sequence > self.observing.plans_after;
        self.observing.next = now + RELIST_EVERY;
        self.last_generation = seen
            .iter()
            .map(|replica| replica.generation)
            .fold(self.last_generation, u64::max);

        let gone = std::mem::take(&mut self.gone);
        seen.retain(|replica| {
            let last = gone.get(&replica.id);
            last.is_none_or(|last| sequence > *last)
        });
        self.gone = gone;
        self.gone.retain(|_, last| sequence < *last);

        if self.authority == Authority::ReadOnly {
            // The process in control is starting these.
            seen.retain(|replica| replica.state != RunState::Created);
        }
        let mut by_service: BTreeMap<ServiceName, Vec<Observed>> = BTreeMap::new();
        for replica in seen {
            by_service
                .entry(replica.service.clone())
                .or_default()
                .push(replica);
        }
        for name in by_service.keys() {
            if !self.services.contains_key(name) {
                let orphan = ServiceState::orphan(name.clone(), &self.outside.writer);
                self.services.insert(name.clone(), orphan);
            }
        }
        let turn = self.outside.turn(sequence);
        for (name, state) in &mut self.services {
            let seen = by_service.remove(name).unwrap_or_default();
            state.observed(seen, first, &turn);
            if self.observing.fresh
                && let Some(wanted) = self.inherited.remove(name)
            {
                state.want(wanted, now);
                // A deploy may have happened since this process looked first.
                state.adopt_version(&turn);
            }
        }
    }

    /// Nothing more is attempted until a listing says that it is back. Only listings decide that:
    /// a single call that gets no answer may be stuck on its container.
    fn engine_is_away(&mut self, error: &EngineError) {
        if self.engine_up {
            (self.outside.sink)(&Event::EngineDown {
                why: error.to_string(),
            });
        }
        self.engine_up = false;
        let now = self.now();
        self.engine_lost.get_or_insert(now);
        self.observing.next = self.now() + ENGINE_RETRY_EVERY;
        self.services
            .values_mut()
            .for_each(|state| state.fleet_mut().excuse_calls());
    }
}
