//! Imagined replicas and requests, event by event, under the real scaler and the real planner.

use super::arrivals::{Arrivals, Request};
use super::random::{Lognormal, Random};
use super::{Model, NANOS, Outcome, Second, nanos};
use crate::plan::backoff::{Backoff, SETTLED_AFTER};
use crate::plan::scaler::{Scaler, learn, turn};
use crate::plan::window::{Sample, Window};
use crate::plan::{Action, Condition, Depth, Image, Input, Roll, Seen, plan};
use crate::service::latency::Histogram;
use crate::service::replica::{Ailment, ReplicaId};
use crate::service::spec::{Order, Slot};
use crate::service::time::Moment;
use crate::service::usage::Used;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

const FIRST_SLOT: Slot = 8000;
/// A drain that takes longer is cut off, as by the default of `stop_grace_period`.
const GRACE: Duration = Duration::from_secs(10);
/// A change of direction so soon after the last change is a flip.
const FLIP_WITHIN: u64 = 5 * 60;
/// A plan and what follows from it settle within a few rounds.
const ROUNDS_MAX: usize = 64;

pub struct World<'a> {
    model: &'a Model,
    scaler: &'a dyn Scaler,
    /// The time of day at the beginning; zero: nobody knows.
    start: Duration,
    now: u64,
    events: BinaryHeap<Reverse<(u64, Event)>>,
    /// Places are used again, so that an event finds its replica by index.
    replicas: Vec<Option<Replica>>,
    waiting: VecDeque<Request>,
    /// Indices of the ready replicas in slot order.
    ready: Vec<usize>,
    free_slots: u32,
    /// The position in `ready` that is next.
    turn: usize,
    generations: u64,
    starts: Random,
    lives: Random,
    start_time: Lognormal,
    /// What the control loop would have learned.
    learned: Duration,
    backoff: Backoff,
    window: Window,
    counted: Counted,
    wanted: u32,
    replan: bool,
    wake: Option<Moment>,
    changed: Option<(u64, bool)>,
    short_since: Option<u64>,
    outcome: Outcome,
}

#[derive(Default)]
struct Counted {
    arrived: u64,
    completed: u64,
    busy: u64,
    in_flight: u64,
    answers: Histogram,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Done {
        index: usize,
        generation: u64,
        took: u64,
        /// How long it waited before.
        waited: u64,
    },
    Ready {
        index: usize,
        generation: u64,
    },
    Crashes {
        index: usize,
        generation: u64,
    },
}

struct Replica {
    id: ReplicaId,
    slot: Slot,
    generation: u64,
    began: u64,
    state: State,
    in_flight: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Starting,
    Ready { since: u64 },
    Draining { since: u64 },
    Crashed,
}

fn moment(nanos: u64) -> Moment {
    Moment(Duration::from_nanos(nanos))
}

impl<'a> World<'a> {
    /// The trace begins in the middle of things: Tidegate runs already, with replicas for `load`
    /// and a quarter more.
    pub fn new(model: &'a Model, scaler: &'a dyn Scaler, start: Duration, load: f64) -> World<'a> {
        let wanted = model.bounds.clamp((load * 1.25).ceil() as u32);
        let mut world = World {
            model,
            scaler,
            start,
            now: 0,
            events: BinaryHeap::new(),
            replicas: Vec::new(),
            waiting: VecDeque::new(),
            ready: Vec::new(),
            free_slots: 0,
            turn: 0,
            generations: 0,
            starts: Random::new(model.seed, 4),
            lives: Random::new(model.seed, 5),
            start_time: Lognormal::new(model.start_time.as_secs_f64(), model.start_cv),
            learned: Duration::ZERO,
            backoff: Backoff::default(),
            window: Window::default(),
            counted: Counted::default(),
            wanted,
            replan: true,
            wake: None,
            changed: None,
            short_since: None,
            outcome: Outcome::default(),
        };
        for offset in 0..wanted {
            let index = world.start(FIRST_SLOT + offset as Slot);
            world.becomes_ready(index);
        }
        world
    }

    pub fn run(
        mut self,
        arrivals: Arrivals<'_>,
        seconds: u64,
        load: impl Fn(u64) -> f64,
        mut progress: impl FnMut(u64),
    ) -> Outcome {
        let mut arrivals = arrivals.peekable();
        self.outcome.seconds.reserve(seconds as usize);
        for second in 0..seconds {
            let until = (second + 1) * NANOS;
            loop {
                let arrives = arrivals.peek().map(|request| request.at);
                let happens = self.events.peek().map(|Reverse((at, _))| *at);
                match (happens, arrives) {
                    (Some(at), other) if at < until && other.is_none_or(|other| at <= other) => {
                        let Some(Reverse((at, event))) = self.events.pop() else {
                            break;
                        };
                        self.now = at;
                        self.happens(event);
                    }
                    (_, Some(at)) if at < until => {
                        self.now = at;
                        self.waiting.extend(arrivals.next());
                        self.counted.arrived += 1;
                        self.serve();
                    }
                    _ => break,
                }
            }
            self.now = until;
            self.tick(load(second));
            progress(second + 1);
        }
        self.end()
    }

    // === what happens ===

    fn happens(&mut self, event: Event) {
        let (Event::Done {
            index, generation, ..
        }
        | Event::Ready { index, generation }
        | Event::Crashes { index, generation }) = event;
        let replica = self.replicas[index].as_mut();
        // Of one that is gone: its requests are counted already.
        let Some(replica) = replica.filter(|it| it.generation == generation) else {
            return;
        };
        match event {
            Event::Done { took, waited, .. } if replica.state != State::Crashed => {
                replica.in_flight -= 1;
                self.counted.in_flight -= 1;
                self.counted.completed += 1;
                self.counted.busy += took;
                let answered = Duration::from_nanos(waited + took);
                self.counted.answers.note(answered);
                match replica.state {
                    State::Ready { .. } => {
                        self.free_slots += 1;
                        self.serve();
                    }
                    _ if replica.in_flight == 0 => self.plan(),
                    _ => {}
                }
            }
            Event::Done { .. } => {}
            Event::Ready { .. } => {
                let took = Duration::from_nanos(self.now - replica.began);
                self.learned = learn(self.learned, took);
                self.becomes_ready(index);
                self.serve();
                self.plan();
            }
            Event::Crashes { .. } => {
                let lived = match replica.state {
                    State::Ready { since } => Some(Duration::from_nanos(self.now - since)),
                    _ => None,
                };
                replica.state = State::Crashed;
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

    fn becomes_ready(&mut self, index: usize) {
        let Some(replica) = &mut self.replicas[index] else {
            return;
        };
        replica.state = State::Ready { since: self.now };
        let generation = replica.generation;
        if !self.model.crashes_after.is_zero() {
            let life = self.lives.exponential() * self.model.crashes_after.as_secs_f64();
            let at = self.now + nanos(life);
            let event = Event::Crashes { index, generation };
            self.events.push(Reverse((at, event)));
        }
        self.list_ready();
    }

    fn list_ready(&mut self) {
        let is_ready = |it: &Replica| matches!(it.state, State::Ready { .. });
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
    fn serve(&mut self) {
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
                Event::Done {
                    index: replica.0,
                    generation: replica.1,
                    took: request.service,
                    waited,
                },
            )));
        }
    }

    fn next_with_a_free_slot(&mut self) -> Option<(usize, u64)> {
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

    // === what is decided ===

    /// As the control loop does it once a second.
    fn tick(&mut self, load: f64) {
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

    fn sample(&self) -> Sample {
        let starting = || {
            let replicas = self.replicas.iter().flatten();
            replicas.filter(|replica| replica.state == State::Starting)
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

    fn plan(&mut self) {
        self.replan = false;
        for _ in 0..ROUNDS_MAX {
            let seen = self.seen();
            let plan = plan(&Input {
                replicas: &seen,
                starting: BTreeSet::new(),
                hanging: BTreeSet::new(),
                image: Image::Here,
                taken: BTreeSet::new(),
                first_slot: FIRST_SLOT,
                wanted: Some(self.wanted),
                depth: Depth::Awake,
                stop_grace_period: GRACE,
                roll: Roll {
                    parallelism: 1,
                    order: Order::StartFirst,
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

    fn seen(&mut self) -> Vec<Seen> {
        for replica in self.replicas.iter().flatten() {
            if let State::Ready { since } = replica.state
                && Duration::from_nanos(self.now - since) >= SETTLED_AFTER
            {
                self.backoff.settled(replica.generation);
            }
        }
        let condition = |replica: &Replica| match replica.state {
            State::Starting => Condition::Starting,
            State::Ready { .. } => Condition::Ready,
            State::Draining { since } => Condition::Draining {
                since: moment(since),
                in_flight: u64::from(replica.in_flight),
            },
            State::Crashed => Condition::Sick(Ailment::Exited { code: Some(1) }),
        };
        let replicas = self.replicas.iter().flatten();
        replicas
            .map(|replica| Seen {
                id: replica.id.clone(),
                slot: replica.slot,
                current: true,
                condition: condition(replica),
            })
            .collect()
    }

    // === what is done about it ===

    fn act(&mut self, action: Action) {
        match action {
            Action::Start { slot, .. } => {
                let index = self.start(slot);
                let took = nanos(self.start_time.draw(&mut self.starts));
                let generation = self.generations;
                let event = Event::Ready { index, generation };
                self.events.push(Reverse((self.now + took, event)));
                self.outcome.starts += 1;
            }
            Action::Drain { id, .. } => {
                let since = self.now;
                self.set(&id, State::Draining { since });
            }
            // Only services that sleep are paused, and here none does; every image is here.
            Action::FetchImage { .. } => {}
            Action::Pause { .. } | Action::Resume { .. } => {}
            Action::Return { id, .. } => {
                let since = self.now;
                self.set(&id, State::Ready { since });
            }
            Action::Stop { id, .. } => {
                let place = self.replicas.iter_mut().find(|it| is(it.as_ref(), &id));
                if let Some(replica) = place.and_then(Option::take) {
                    self.gone(&replica);
                }
            }
        }
    }

    fn start(&mut self, slot: Slot) -> usize {
        self.generations += 1;
        let replica = Replica {
            id: ReplicaId::new(self.generations.to_string()),
            slot,
            generation: self.generations,
            began: self.now,
            state: State::Starting,
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

    fn set(&mut self, id: &ReplicaId, state: State) {
        let mut replicas = self.replicas.iter_mut();
        if let Some(Some(replica)) = replicas.find(|it| is(it.as_ref(), id)) {
            replica.state = state;
        }
    }

    fn gone(&mut self, replica: &Replica) {
        self.outcome.replica_seconds += (self.now - replica.began) as f64 / NANOS as f64;
        if replica.state != State::Crashed {
            self.counted.in_flight -= u64::from(replica.in_flight);
            self.outcome.lost += u64::from(replica.in_flight);
        }
    }

    // === what is noted ===

    fn note_change(&mut self, up: bool) {
        let second = self.now / NANOS;
        let flipped = self
            .changed
            .is_some_and(|(at, was_up)| was_up != up && second - at < FLIP_WITHIN);
        self.outcome.flips += u64::from(flipped);
        self.changed = Some((second, up));
    }

    fn note_shortage(&mut self, short: bool) {
        let second = self.now / NANOS;
        if !short {
            self.short_since = None;
            return;
        }
        let since = *self.short_since.get_or_insert(second - 1);
        self.outcome.short_for = self.outcome.short_for.max(second - since);
    }

    fn end(mut self) -> Outcome {
        for replica in std::mem::take(&mut self.replicas).iter().flatten() {
            self.outcome.replica_seconds += (self.now - replica.began) as f64 / NANOS as f64;
        }
        self.outcome.requests = self.counted.arrived;
        self.outcome
    }
}

fn is(replica: Option<&Replica>, id: &ReplicaId) -> bool {
    replica.is_some_and(|replica| replica.id == *id)
}
