//! Decisions of the real scaler and the real planner, and their execution.

use super::outcome::Second;
use super::replica::{ImaginedReplica, ReplicaState, SimulatedEvent};
use super::time::{NANOS, nanos};
use super::world::{FIRST_SLOT, ImaginedWorld, moment};
use crate::plan::backoff::SETTLED_AFTER;
use crate::plan::scaler::turn;
use crate::plan::window::Sample;
use crate::plan::{Action, Condition, Depth, ImageStatus, Input, ReplicaInput, Roll, plan};
use crate::service::replica::{Ailment, ReplicaId};
use crate::service::spec::{Slot, UpdateOrder};
use crate::service::usage::Used;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

/// A drain that takes longer is cut off, as by the default of `stop_grace_period`.
const GRACE: Duration = Duration::from_secs(10);
/// A plan and what follows from it settle within a few rounds.
const ROUNDS_MAX: usize = 64;

impl ImaginedWorld<'_> {
    /// One second of the control loop.
    pub(super) fn tick(&mut self, load: f64) {
        self.serve();
        let sample = self.sample();
        let bounds = self.model.bounds;
        if self.scaler.needs().latency {
            let answers = self.counted.answers;
            self.window
                .note_answers(sample.at, answers, self.scaler.history());
        }
        let decision = turn(self.scaler, &mut self.window, sample, bounds, self.wanted);
        if decision.replicas != self.wanted {
            self.note_change(decision.replicas > self.wanted);
            self.wanted = decision.replicas;
            self.replan = true;
        }
        let due = self.wake.is_some_and(|wake| wake <= moment(self.now));
        if self.replan || due {
            self.plan();
        }
        let ready = self.ready.len() as u32;
        self.note_shortage(load > f64::from(ready));
        self.outcome.seconds.push(Second {
            load: load as f32,
            wanted: self.wanted,
            ready,
            waiting: self.waiting.len() as u32,
        });
    }

    pub(super) fn sample(&self) -> Sample {
        let starting = || {
            let replicas = self.replicas.iter().flatten();
            replicas.filter(|replica| replica.state == ReplicaState::Starting)
        };
        let for_nanos = starting().map(|replica| self.now - replica.began).sum();
        Sample {
            at: moment(self.now),
            clock: match self.start {
                Duration::ZERO => Duration::ZERO,
                start => start + Duration::from_nanos(self.now),
            },
            requests: self.counted.arrived,
            completed: self.counted.completed,
            busy: Duration::from_nanos(self.counted.busy),
            in_flight: self.counted.in_flight,
            held: self.waiting.len() as u64,
            ready: self.ready.len() as u32,
            starting: starting().count() as u32,
            starting_for: Duration::from_nanos(for_nanos),
            start_time: self.learned,
            used: Used::default(),
            rolling: false,
        }
    }

    pub(super) fn plan(&mut self) {
        self.replan = false;
        for _ in 0..ROUNDS_MAX {
            let seen = self.seen();
            let plan = plan(&Input {
                replicas: &seen,
                starting: BTreeSet::new(),
                hanging: BTreeSet::new(),
                image: ImageStatus::Here,
                taken: BTreeSet::new(),
                first_slot: FIRST_SLOT,
                wanted: Some(self.wanted),
                depth: Depth::Awake,
                stop_grace_period: GRACE,
                roll: Roll {
                    parallelism: 1,
                    order: UpdateOrder::StartFirst,
                    not_before: None,
                },
                check_round: Duration::ZERO,
                backoff: &self.backoff,
                starts_left: u32::MAX,
                reserve: false,
                engine_up: true,
                now: moment(self.now),
            });
            self.wake = plan.wake;
            if plan.actions.is_empty() {
                return;
            }
            for action in plan.actions {
                self.act(action);
            }
            self.list_ready();
        }
    }

    pub(super) fn seen(&mut self) -> Vec<ReplicaInput> {
        for replica in self.replicas.iter().flatten() {
            if let ReplicaState::Ready { since } = replica.state
                && Duration::from_nanos(self.now - since) >= SETTLED_AFTER
            {
                self.backoff.settled(replica.generation);
            }
        }
        let condition = |replica: &ImaginedReplica| match replica.state {
            ReplicaState::Starting => Condition::Starting,
            ReplicaState::Ready { .. } => Condition::Ready,
            ReplicaState::Draining { since } => Condition::Draining {
                since: moment(since),
                in_flight: u64::from(replica.in_flight),
            },
            ReplicaState::Crashed => Condition::Sick(Ailment::Exited { code: Some(1) }),
        };
        let replicas = self.replicas.iter().flatten();
        replicas
            .map(|replica| ReplicaInput {
                id: replica.id.clone(),
                slot: replica.slot,
                current: true,
                condition: condition(replica),
            })
            .collect()
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Start { slot, .. } => {
                let index = self.start(slot);
                let took = nanos(self.start_time.draw(&mut self.starts));
                let generation = self.generations;
                let event = SimulatedEvent::Ready { index, generation };
                self.events.push(Reverse((self.now + took, event)));
                self.outcome.starts += 1;
            }
            Action::Drain { id, .. } => {
                let since = self.now;
                self.set(&id, ReplicaState::Draining { since });
            }
            // Only services that sleep are paused, and here none does; every image is here.
            Action::FetchImage { .. } => {}
            Action::Pause { .. } | Action::Resume { .. } => {}
            Action::Return { id, .. } => {
                let since = self.now;
                self.set(&id, ReplicaState::Ready { since });
            }
            Action::Stop { id, .. } => {
                let place = self.replicas.iter_mut().find(|it| is(it.as_ref(), &id));
                if let Some(replica) = place.and_then(Option::take) {
                    self.gone(&replica);
                }
            }
        }
    }

    pub(super) fn start(&mut self, slot: Slot) -> usize {
        self.generations += 1;
        let replica = ImaginedReplica {
            id: ReplicaId::new(self.generations.to_string()),
            slot,
            generation: self.generations,
            began: self.now,
            state: ReplicaState::Starting,
            in_flight: 0,
        };
        let index = match self.replicas.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.replicas.push(None);
                self.replicas.len() - 1
            }
        };
        self.replicas[index] = Some(replica);
        let there = self.replicas.iter().flatten().count() as u32;
        self.outcome.peak = self.outcome.peak.max(there);
        index
    }

    pub(super) fn set(&mut self, id: &ReplicaId, state: ReplicaState) {
        let mut replicas = self.replicas.iter_mut();
        if let Some(Some(replica)) = replicas.find(|it| is(it.as_ref(), id)) {
            replica.state = state;
        }
    }

    pub(super) fn gone(&mut self, replica: &ImaginedReplica) {
        self.outcome.replica_seconds += (self.now - replica.began) as f64 / NANOS as f64;
        if replica.state != ReplicaState::Crashed {
            self.counted.in_flight -= u64::from(replica.in_flight);
            self.outcome.lost += u64::from(replica.in_flight);
        }
    }
}

fn is(replica: Option<&ImaginedReplica>, id: &ReplicaId) -> bool {
    replica.is_some_and(|replica| replica.id == *id)
}
