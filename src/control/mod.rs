//! The only writer of the replica set.
//!
//! A loop over one closed list of events. Whatever an event says, it only means "look again": the
//! loop brings its picture up to date, plans each service, carries the plan out and publishes a
//! snapshot. What takes long (the engine, health checks) runs in tasks that report back as events.

mod by_hand;
mod command;
mod forecast;
mod managed;
mod measuring;
mod probing;
mod rollout;
mod sleeping;
mod tracked;
mod version;
mod view;

pub use command::{Handle, Hands};
pub use forecast::{Forecast, forecast};
pub use managed::Managed;
pub use version::Deployed;

use crate::engine::{Engine, EngineError, ErrorKind};
use crate::plan::{self, Action, Reason};
use crate::service::event::Event;
use crate::service::replica::{Observed, ReplicaId, RunState};
use crate::service::snapshot::Snapshot;
use crate::service::spec::{ImageId, ServiceName, Slot, Template};
use crate::service::store::Writer;
use crate::service::time::Moment;
use command::Command;
use futures_util::StreamExt;
use managed::State;
use measuring::{Measured, Measuring};
use probing::Verdict;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Events that wait for the loop. Senders wait when it is full, so nothing is lost.
const EVENTS_WAITING: usize = 1024;
/// How often the world is looked at when nothing says it changed: a missed event costs this much.
const RELIST_EVERY: Duration = Duration::from_secs(5);
/// How often the counters are sampled for the scalers.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How often connections that nobody uses any more are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// The engine is asked again this often while it does not answer.
const ENGINE_RETRY_EVERY: Duration = Duration::from_millis(500);
/// A plan and what follows from it settle within a few rounds; more would be a planner's mistake.
const ROUNDS_MAX: usize = 64;

/// With thousands of replicas a look takes milliseconds. When as many health checks come out at
/// about the same time, one for each would leave no time for the checks themselves.
const DEAR_LOOK: Duration = Duration::from_millis(1);
/// What comes within so many times the look's own time shares the next one.
const GATHERS: u32 = 3;
const GATHERS_MAX: Duration = Duration::from_millis(50);

/// Says the time of day: since 1970, in UTC.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Is told of everything that happens.
pub type Sink = Arc<dyn Fn(&Event) + Send + Sync>;

/// Everything that can happen to the loop.
enum Input {
    Command(Command),
    Observed {
        sequence: u64,
        result: Result<Vec<Observed>, EngineError>,
    },
    Started {
        service: ServiceName,
        slot: Slot,
        result: Result<ReplicaId, EngineError>,
    },
    /// What an image's name stands for, so that it can be deployed.
    Resolved {
        service: ServiceName,
        template: Box<Template>,
        result: Result<ImageId, EngineError>,
        done: oneshot::Sender<Result<Deployed, String>>,
    },
    SaidLast {
        service: ServiceName,
        slot: Slot,
        id: ReplicaId,
        words: Vec<String>,
    },
    Stopped {
        service: ServiceName,
        id: ReplicaId,
        result: Result<(), EngineError>,
    },
    /// A replica was paused, or runs again.
    Frozen {
        service: ServiceName,
        id: ReplicaId,
        paused: bool,
        result: Result<(), EngineError>,
    },
    Probed {
        service: ServiceName,
        id: ReplicaId,
        verdict: Verdict,
    },
    /// What ready replicas use.
    Measured(Measured),
}

pub struct Control {
    engine: Arc<dyn Engine>,
    writer: Writer,
    sink: Sink,
    sender: mpsc::Sender<Input>,
    inputs: mpsc::Receiver<Input>,
    began: Instant,
    clock: Clock,
    services: BTreeMap<ServiceName, State>,
    starts_max: u32,
    last_generation: u64,
    next_sweep: Moment,
    observing: Observing,
    measuring: Measuring,
    engine_up: bool,
    /// Since when it does not answer.
    engine_lost: Option<Moment>,
    /// Stopped and removed; a listing up to this one may still show it.
    gone: BTreeMap<ReplicaId, u64>,
    removing: Option<oneshot::Sender<()>>,
    hands: Hands,
    /// Waits until nothing is under way.
    resting: Option<oneshot::Sender<()>>,
    /// Taken over with the control, until the first listing of its own.
    inherited: BTreeMap<ServiceName, u32>,
}

/// When the engine was asked last, and what is still to be asked.
struct Observing {
    /// Counts the listings; a listing may only be trusted about what happened before it began.
    sequence: u64,
    under_way: bool,
    wanted: bool,
    next: Moment,
    seen_once: bool,
    /// The last listing that began before a call found the engine away: not a sign of its return.
    lost: u64,
    /// Nothing is planned before a listing that began after this one.
    plans_after: u64,
    /// Whether there was one.
    fresh: bool,
}

impl Control {
    /// The engine is not spoken to while no service needs it.
    pub fn new(
        engine: Arc<dyn Engine>,
        writer: Writer,
        sink: Sink,
        starts_max: u32,
    ) -> (Control, Handle) {
        let (sender, inputs) = mpsc::channel(EVENTS_WAITING);
        let handle = Handle::from(sender.clone());
        let control = Control {
            engine_up: true,
            engine_lost: None,
            engine,
            writer,
            sink,
            sender,
            inputs,
            began: Instant::now(),
            clock: Arc::new(wall_clock),
            services: BTreeMap::new(),
            starts_max,
            last_generation: 0,
            next_sweep: Moment::default(),
            gone: BTreeMap::new(),
            observing: Observing {
                sequence: 0,
                under_way: false,
                wanted: true,
                next: Moment::default(),
                seen_once: false,
                lost: 0,
                plans_after: 0,
                fresh: false,
            },
            measuring: Measuring::default(),
            removing: None,
            hands: Hands::Free,
            resting: None,
            inherited: BTreeMap::new(),
        };
        (control, handle)
    }

    /// Generations are greater than this one; for tests, whose time is not the wall clock's.
    pub fn generations_above(mut self, generation: u64) -> Control {
        self.last_generation = generation;
        self
    }

    /// The time of day is what `clock` says; for tests.
    pub fn with_clock(mut self, clock: Clock) -> Control {
        self.clock = clock;
        self
    }

    /// Begins without touching anything, until it is told otherwise.
    pub fn resting(mut self) -> Control {
        self.hands = Hands::Resting;
        self
    }

    /// Runs until `shutdown` says so. Containers stay as they are: the next start adopts them.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut changes = self.engine.changes();
        loop {
            // Tokio's clock stands still in tests, where the same inputs lead to the same looks.
            let began = Instant::now();
            let wake = self.settle();
            let took = began.elapsed();
            // Every branch means "look again", so none can starve another; in a fixed order, the
            // same inputs lead to the very same run.
            let came = tokio::select! {
                biased;
                _ = shutdown.wait_for(|over| *over) => return,
                Some(input) = self.inputs.recv() => Some(input),
                Some(()) = changes.next(), if self.needs_engine() => {
                    self.observing.wanted = true;
                    None
                }
                () = self.writer.woken() => None,
                () = tokio::time::sleep_until(self.began + wake.0) => None,
            };
            let Some(input) = came else {
                continue;
            };
            self.handle(input);
            if took >= DEAR_LOOK {
                self.gather(GATHERS * took).await;
            }
            while let Ok(input) = self.inputs.try_recv() {
                self.handle(input);
            }
        }
    }

    /// Takes what comes meanwhile into account, too, before the next look.
    async fn gather(&mut self, time: Duration) {
        let over = Instant::now() + time.min(GATHERS_MAX);
        while let Ok(Some(input)) = tokio::time::timeout_at(over, self.inputs.recv()).await {
            self.handle(input);
        }
    }

    fn needs_engine(&self) -> bool {
        self.services.values().any(State::needs_engine)
    }

    fn now(&self) -> Moment {
        Moment(self.began.elapsed())
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Command(Command::Reconfigure { services, done }) => {
                self.reconfigure(services);
                self.settle();
                let _ = done.send(());
            }
            Input::Command(Command::Deploy {
                service,
                image,
                done,
            }) => self.deploy(&service, image, done),
            Input::Command(Command::Scale {
                service,
                replicas,
                done,
            }) => {
                let (now, clock, sink) = (self.now(), (self.clock)(), Arc::clone(&self.sink));
                let state = self.in_hand(&service);
                let scaled =
                    state.and_then(|state| state.scale_by_hand(replicas, now, clock, &sink));
                // Whoever asked finds it in the next snapshot.
                self.settle();
                let _ = done.send(scaled);
            }
            Input::Command(Command::Drain {
                service,
                slot,
                done,
            }) => {
                let state = self.in_hand(&service);
                let _ = done.send(state.and_then(|state| state.replace(slot)));
            }
            Input::Resolved {
                service,
                template,
                result,
                done,
            } => self.resolved(&service, *template, result, done),
            Input::SaidLast {
                service,
                slot,
                id,
                words,
            } => {
                if let Some(state) = self.services.get_mut(&service) {
                    state.said_last(slot, &id, words, &self.sink);
                }
            }
            Input::Command(Command::Answer { done }) => drop(done.send(())),
            Input::Command(Command::RemoveAll { done }) => {
                self.removing = Some(done);
            }
            Input::Command(Command::Use {
                hands,
                wanted,
                done,
            }) => self.take(hands, wanted, done),
            Input::Measured(measured) => self.measured(measured),
            Input::Observed { sequence, result } => self.observed(sequence, result),
            Input::Started {
                service,
                slot,
                result,
            } => self.started(&service, slot, result),
            Input::Stopped {
                service,
                id,
                result,
            } => self.stopped(&service, &id, result),
            Input::Frozen {
                service,
                id,
                paused,
                result,
            } => self.frozen(&service, &id, paused, result),
            Input::Probed {
                service,
                id,
                verdict,
            } => {
                let now = self.now();
                if let Some(state) = self.services.get_mut(&service) {
                    state.probed(&id, verdict, &self.writer, now, &self.sink);
                }
            }
        }
    }

    /// A service that may be changed by hand now.
    fn in_hand(&mut self, service: &str) -> Result<&mut State, String> {
        if self.hands == Hands::Resting {
            return Err("another process is taking over; ask that one".to_owned());
        }
        let known: Vec<String> = self
            .services
            .keys()
            .map(|name| format!("`{name}`"))
            .collect();
        self.services.get_mut(service).ok_or_else(|| {
            let known = known.join(", ");
            format!("there is no service `{service}`; there is {known}")
        })
    }

    fn deploy(
        &mut self,
        service: &str,
        image: Option<String>,
        done: oneshot::Sender<Result<Deployed, String>>,
    ) {
        let state = self.in_hand(service);
        let (template, spec) = match state.and_then(|state| state.to_deploy(image)) {
            Ok(found) => found,
            Err(why) => return drop(done.send(Err(why))),
        };
        let (engine, sender) = (Arc::clone(&self.engine), self.sender.clone());
        tokio::spawn(async move {
            let result = engine.resolve(&template.image, spec.pull).await;
            let resolved = Input::Resolved {
                service: spec.name,
                template: Box::new(template),
                result,
                done,
            };
            let _ = sender.send(resolved).await;
        });
    }

    fn resolved(
        &mut self,
        service: &ServiceName,
        template: Template,
        result: Result<ImageId, EngineError>,
        done: oneshot::Sender<Result<Deployed, String>>,
    ) {
        let (now, sink) = (self.now(), Arc::clone(&self.sink));
        let deployed = result.map_err(|error| error.to_string()).and_then(|id| {
            let state = self.in_hand(service.as_str())?;
            let template = Template {
                image_id: Some(id),
                ..template
            };
            Ok(state.deploy(template, now, &sink))
        });
        // Whoever asked finds it under way in the next snapshot.
        self.settle();
        let _ = done.send(deployed);
    }

    fn take(
        &mut self,
        hands: Hands,
        wanted: BTreeMap<ServiceName, u32>,
        done: oneshot::Sender<()>,
    ) {
        let before = std::mem::replace(&mut self.hands, hands);
        self.resting = None;
        if hands == Hands::Resting {
            self.resting = Some(done);
            return;
        }
        if before == Hands::Resting {
            // Whatever was listed until now, somebody else may have changed since.
            self.inherited = wanted;
            self.observing.plans_after = self.observing.sequence;
            self.observing.fresh = false;
            self.observing.wanted = true;
        }
        let _ = done.send(());
    }

    fn reconfigure(&mut self, services: Vec<Managed>) {
        let now = self.now();
        let mut old = std::mem::take(&mut self.services);
        for managed in services {
            let name = managed.spec.name.clone();
            let state = match old.remove(&name) {
                Some(state) => state.reconfigured(managed, now, &self.sink),
                None => State::new(managed, &self.writer, now, &self.sink),
            };
            self.services.insert(name, state);
        }
        for (name, mut state) in old {
            state.remove();
            self.services.insert(name, state);
        }
        for state in self.services.values_mut() {
            state.adopt_fixed(&self.sender, &self.sink, now);
        }
        self.observing.wanted = true;
    }

    fn observed(&mut self, sequence: u64, result: Result<Vec<Observed>, EngineError>) {
        let now = self.now();
        self.observing.under_way = false;
        let mut seen = match result {
            Ok(seen) => seen,
            Err(error) => return self.engine_is_away(&error),
        };
        if sequence <= self.observing.lost {
            return;
        }
        let first = !self.observing.seen_once;
        if !self.engine_up || first {
            (self.sink)(&Event::EngineUp);
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

        if self.hands == Hands::Resting {
            // Whoever is in control is starting these.
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
                let orphan = State::orphan(name.clone(), &self.writer);
                self.services.insert(name.clone(), orphan);
            }
        }
        for (name, state) in &mut self.services {
            let seen = by_service.remove(name).unwrap_or_default();
            state.observed(seen, sequence, first, &self.sender, &self.sink, now);
            if self.observing.fresh
                && let Some(wanted) = self.inherited.remove(name)
            {
                state.want(wanted, now);
                // It may have been deployed since this process looked first.
                state.adopt_version(now, &self.sink);
            }
        }
    }

    /// Nothing more is attempted until a listing that begins from now on says that it is back.
    fn engine_is_away(&mut self, error: &EngineError) {
        if self.engine_up {
            (self.sink)(&Event::EngineDown {
                why: error.to_string(),
            });
        }
        self.engine_up = false;
        let now = self.now();
        self.engine_lost.get_or_insert(now);
        self.observing.lost = self.observing.sequence;
        self.observing.next = self.now() + ENGINE_RETRY_EVERY;
    }

    fn started(
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
            Err(error) => {
                state.start_failed(slot, &error, sequence, now, &self.sink);
                if error.kind == ErrorKind::Unreachable {
                    return self.engine_is_away(&error);
                }
            }
        }
        self.observing.wanted = true;
    }

    fn stopped(&mut self, service: &ServiceName, id: &ReplicaId, result: Result<(), EngineError>) {
        let now = self.now();
        if let Some(state) = self.services.get_mut(service) {
            state.stopped(id, &result, now, &self.sink);
        }
        match result {
            Err(error) if error.kind == ErrorKind::Unreachable => {
                return self.engine_is_away(&error);
            }
            Err(_) => {}
            Ok(()) => {
                self.gone.insert(id.clone(), self.observing.sequence);
            }
        }
        self.observing.wanted = true;
    }

    fn frozen(
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
        if let Err(error) = result
            && error.kind == ErrorKind::Unreachable
        {
            return self.engine_is_away(&error);
        }
        self.observing.wanted = true;
    }

    /// Plans and acts until nothing more is to be done now, publishes, and says when to look
    /// again.
    fn settle(&mut self) -> Moment {
        let now = self.now();
        self.remove_if_told();
        self.services.retain(|_, state| !state.is_over());
        self.observe_if_due(now);
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_EVERY;
            self.services.values().for_each(State::sweep);
        }
        let mut wake = now + SAMPLE_EVERY;
        if let Some(at) = self.measure_if_due(now) {
            wake = wake.min(at);
        }
        let may_act = self.hands != Hands::Resting;
        let clock = (self.clock)();
        for state in self.services.values_mut().filter(|_| may_act) {
            if let Some(at) = state.turn_rest(now).filter(|at| *at > now) {
                wake = wake.min(at);
            }
            if let Some(at) = state.scale(now, clock, &self.sink).filter(|at| *at > now) {
                wake = wake.min(at);
            }
        }
        if may_act && self.observing.fresh {
            for state in self.services.values_mut() {
                state.follow_rollout(now, &self.sink);
            }
            for _ in 0..ROUNDS_MAX {
                let (acted, at) = self.plan_and_act(now);
                if !acted {
                    wake = at.map_or(wake, |at| wake.min(at));
                    break;
                }
            }
        }
        for state in self.services.values() {
            // They were shut when they failed.
            let least_bad = state.least_bad(now);
            for replica in least_bad.iter().filter(|it| it.connections.is_lost()) {
                replica.find_again();
            }
        }
        self.writer.publish(self.snapshot(now));
        self.finish_removing();
        self.finish_resting();
        if self.needs_engine() && !self.observing.under_way {
            wake = wake.min(self.observing.next);
        }
        // Never in the past, so that an overdue instant cannot spin the loop.
        wake.max(now + Duration::from_millis(1))
    }

    fn plan_and_act(&mut self, now: Moment) -> (bool, Option<Moment>) {
        let mut acted = false;
        let mut wake: Option<Moment> = None;
        let starting: u32 = self.services.values().map(State::starts_under_way).sum();
        let mut starts_left = self.starts_max.saturating_sub(starting);
        let names: Vec<ServiceName> = self.services.keys().cloned().collect();
        for name in names {
            let state = self.services.get_mut(&name).expect("taken from the keys");
            if !state.is_planned() {
                state.because.clear();
                continue;
            }
            let seen = state.seen(now);
            let mut plan = plan::plan(&state.input(&seen, starts_left, self.engine_up, now));
            if self.hands == Hands::Careful {
                plan.postpone_planned_stops();
            }
            if let Some(at) = [plan.wake, state.next_turn(now)]
                .into_iter()
                .flatten()
                .min()
            {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
            }
            state.because = plan.because;
            for action in plan.actions {
                acted = true;
                if matches!(action, Action::Start { .. }) {
                    starts_left = starts_left.saturating_sub(1);
                }
                self.act(&name, action, now);
            }
        }
        (acted, wake)
    }

    fn act(&mut self, service: &ServiceName, action: Action, now: Moment) {
        let generation = self.next_generation();
        let state = self.services.get_mut(service).expect("planned for");
        let engine = Arc::clone(&self.engine);
        let sender = self.sender.clone();
        let service = service.clone();
        match action {
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
                if !state.pausing(&id, &because, now, &self.sink) {
                    return;
                }
                tokio::spawn(async move {
                    let frozen = Input::Frozen {
                        service,
                        paused: true,
                        result: engine.pause(&id).await,
                        id,
                    };
                    let _ = sender.send(frozen).await;
                });
            }
            Action::Resume { id, .. } => {
                if !state.resuming(&id) {
                    return;
                }
                tokio::spawn(async move {
                    let frozen = Input::Frozen {
                        service,
                        paused: false,
                        result: engine.resume(&id).await,
                        id,
                    };
                    let _ = sender.send(frozen).await;
                });
            }
            Action::Stop {
                id, grace, because, ..
            } => {
                let slot = state.stopping(&id, &because, now, &self.sink);
                let failed = slot.filter(|_| matches!(because, Reason::Ailing(_)));
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

    fn observe_if_due(&mut self, now: Moment) {
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
        let (engine, sender) = (Arc::clone(&self.engine), self.sender.clone());
        tokio::spawn(async move {
            let result = engine.observe().await;
            let _ = sender.send(Input::Observed { sequence, result }).await;
        });
    }

    /// Greater than any that was ever given out, also before a restart: wall-clock milliseconds,
    /// or one more than the greatest one seen.
    fn next_generation(&mut self) -> u64 {
        let clock = wall_clock().as_millis() as u64;
        self.last_generation = (self.last_generation + 1).max(clock);
        self.last_generation
    }

    fn snapshot(&self, now: Moment) -> Snapshot {
        Snapshot {
            services: self
                .services
                .iter()
                .map(|(name, state)| (name.clone(), Arc::new(state.view(now, self.engine_lost))))
                .collect(),
            engine_up: self.engine_up && (self.observing.seen_once || !self.needs_engine()),
            taken: now,
        }
    }

    /// What is there must be known before it can be removed.
    fn knows_all(&self) -> bool {
        self.observing.seen_once || !self.needs_engine()
    }

    fn remove_if_told(&mut self) {
        if self.removing.is_some() && self.knows_all() {
            self.services.values_mut().for_each(State::remove);
        }
    }

    fn finish_resting(&mut self) {
        let busy = self.services.values().any(State::is_busy);
        if !busy && let Some(done) = self.resting.take() {
            let _ = done.send(());
        }
    }

    fn finish_removing(&mut self) {
        let gone = self.knows_all() && self.services.values().all(State::is_empty);
        if gone && let Some(done) = self.removing.take() {
            let _ = done.send(());
        }
    }
}

fn wall_clock() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}
