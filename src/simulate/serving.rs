//! Requests and replicas: service in turn, completion, and crashes.

use super::replica::{ImaginedReplica, ReplicaState, SimulatedEvent};
use super::time::nanos;
use super::world::{ImaginedWorld, moment};
use crate::plan::backoff::SETTLED_AFTER;
use crate::plan::scaler::update_average;
use crate::service::spec::Slot;
use std::cmp::Reverse;
use std::time::Duration;

impl ImaginedWorld<'_> {
    pub(super) fn happens(&mut self, event: SimulatedEvent) {
        let (SimulatedEvent::Done {
            index, generation, ..
        }
        | SimulatedEvent::Ready { index, generation }
        | SimulatedEvent::Crashes { index, generation }) = event;
        let replica = self.replicas[index].as_mut();
        // Of one that is gone: its requests are counted already.
        let Some(replica) = replica.filter(|it| it.generation == generation) else {
            return;
        };
        match event {
            SimulatedEvent::Done { took, waited, .. } if replica.state != ReplicaState::Crashed => {
                replica.in_flight -= 1;
                self.counted.in_flight -= 1;
                self.counted.completed += 1;
                self.counted.busy += took;
                let answered = Duration::from_nanos(waited + took);
                self.counted.answers.note(answered);
                match replica.state {
                    ReplicaState::Ready { .. } => {
                        self.free_slots += 1;
                        self.serve();
                    }
                    _ if replica.in_flight == 0 => self.plan(),
                    _ => {}
                }
            }
            SimulatedEvent::Done { .. } => {}
            SimulatedEvent::Ready { .. } => {
                let took = Duration::from_nanos(self.now - replica.began);
                self.learned = update_average(self.learned, took);
                self.becomes_ready(index);
                self.serve();
                self.plan();
            }
            SimulatedEvent::Crashes { .. } => {
                let lived = match replica.state {
                    ReplicaState::Ready { since } => Some(Duration::from_nanos(self.now - since)),
                    _ => None,
                };
                replica.state = ReplicaState::Crashed;
                self.counted.in_flight -= u64::from(replica.in_flight);
                self.outcome.lost += u64::from(replica.in_flight);
                if lived.is_none_or(|lived| lived < SETTLED_AFTER) {
                    self.backoff.failed(generation, moment(self.now));
                }
                self.list_ready();
                self.plan();
            }
        }
    }

    pub(super) fn becomes_ready(&mut self, index: usize) {
        let Some(replica) = &mut self.replicas[index] else {
            return;
        };
        replica.state = ReplicaState::Ready { since: self.now };
        let generation = replica.generation;
        if !self.model.crashes_after.is_zero() {
            let life = self.lives.exponential() * self.model.crashes_after.as_secs_f64();
            let at = self.now + nanos(life);
            let event = SimulatedEvent::Crashes { index, generation };
            self.events.push(Reverse((at, event)));
        }
        self.list_ready();
    }

    pub(super) fn list_ready(&mut self) {
        let is_ready = |it: &ImaginedReplica| matches!(it.state, ReplicaState::Ready { .. });
        let mut ready: Vec<(Slot, usize, u32)> = (self.replicas.iter().enumerate())
            .filter_map(|(index, replica)| Some((index, replica.as_ref()?)))
            .filter(|(_, replica)| is_ready(replica))
            .map(|(index, replica)| (replica.slot, index, replica.in_flight))
            .collect();
        ready.sort_unstable();
        self.free_slots = ready.iter().map(|it| self.model.slots - it.2).sum();
        self.ready = ready.into_iter().map(|(_, index, _)| index).collect();
    }

    /// Gives waiting requests to replicas with a free slot, the next one in turn.
    pub(super) fn serve(&mut self) {
        let patience = nanos(self.model.patience.as_secs_f64());
        let timeout = nanos(self.model.queue_timeout.as_secs_f64());
        while let Some(request) = self.waiting.front().copied() {
            let waited = self.now - request.at;
            if waited > timeout {
                self.outcome.lost += 1;
                self.waiting.pop_front();
                continue;
            }
            if self.free_slots == 0 {
                return;
            }
            let Some(replica) = self.next_with_a_free_slot() else {
                return;
            };
            self.waiting.pop_front();
            self.outcome.late += u64::from(waited > patience);
            self.free_slots -= 1;
            self.counted.in_flight += 1;
            self.events.push(Reverse((
                self.now + request.service,
                SimulatedEvent::Done {
                    index: replica.0,
                    generation: replica.1,
                    took: request.service,
                    waited,
                },
            )));
        }
    }

    pub(super) fn next_with_a_free_slot(&mut self) -> Option<(usize, u64)> {
        for _ in 0..self.ready.len() {
            let index = self.ready[self.turn % self.ready.len()];
            self.turn = (self.turn + 1) % self.ready.len();
            let Some(replica) = self.replicas[index].as_mut() else {
                continue;
            };
            if replica.in_flight < self.model.slots {
                replica.in_flight += 1;
                return Some((index, replica.generation));
            }
        }
        None
    }
}
