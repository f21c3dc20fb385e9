//! The loop: hears of something, brings its picture up to date, plans, acts and publishes.

use super::command::Authority;
use super::declared::Managed;
use super::handle::Handle;
use super::image_note::{ImageNote, Images};
use super::input::{Clock, LoopInput, Sink};
use super::permits::{self, Permits};
use super::schedule::{Measuring, Observing};
use super::service::ServiceState;
use super::turn::Outside;
use crate::engine::Engine;
use crate::plan::Action;
use crate::service::replica::ReplicaId;
use crate::service::snapshot::Snapshot;
use crate::service::spec::ServiceName;
use crate::service::store::Writer;
use crate::service::time::Moment;
use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// Events that wait for the loop. Senders wait when it is full, so nothing is lost.
const EVENTS_WAITING: usize = 1024;
/// How often the counters are sampled for the scalers.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How often connections that nobody uses any more are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// A plan and what follows from it settle within a few rounds; more would be a planner's mistake.
const ROUNDS_MAX: usize = 64;

/// With thousands of replicas a look takes milliseconds. When as many health checks come out at
/// about the same time, one for each would leave no time for the checks themselves.
const DEAR_LOOK: Duration = Duration::from_millis(1);
/// Inputs within so many times the look's own time share the next one.
const GATHERS: u32 = 3;
const GATHERS_MAX: Duration = Duration::from_millis(50);

pub struct Control {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) outside: Outside,
    pub(super) inputs: mpsc::Receiver<LoopInput>,
    pub(super) services: BTreeMap<ServiceName, ServiceState>,
    pub(super) starts_max: u32,
    pub(super) last_generation: u64,
    pub(super) next_sweep: Moment,
    pub(super) observing: Observing,
    pub(super) measuring: Measuring,
    pub(super) engine_up: bool,
    /// Since when it does not answer.
    pub(super) engine_lost: Option<Moment>,
    /// Stopped and removed; a listing up to this one may still show it.
    pub(super) gone: BTreeMap<ReplicaId, u64>,
    pub(super) removing: Option<oneshot::Sender<()>>,
    pub(super) authority: Authority,
    /// Waits until nothing is under way.
    pub(super) stepping_back: Option<oneshot::Sender<()>>,
    /// Taken over with the control, until the first listing of its own.
    pub(super) inherited: BTreeMap<ServiceName, u32>,
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
            outside: Outside::new(writer, sink, sender),
            inputs,
            services: BTreeMap::new(),
            starts_max,
            last_generation: 0,
            next_sweep: Moment::default(),
            gone: BTreeMap::new(),
            observing: Observing::default(),
            measuring: Measuring::default(),
            removing: None,
            authority: Authority::Full,
            stepping_back: None,
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
        self.outside.clock = clock;
        self
    }

    /// Begins with authority to read only, until it is given more.
    pub fn read_only(mut self) -> Control {
        self.authority = Authority::ReadOnly;
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
                () = self.outside.writer.woken() => None,
                () = tokio::time::sleep_until(self.outside.began + wake.0) => None,
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

    pub(super) fn needs_engine(&self) -> bool {
        self.services.values().any(ServiceState::needs_engine)
    }

    pub(super) fn now(&self) -> Moment {
        self.outside.now()
    }

    pub(super) fn handle(&mut self, input: LoopInput) {
        match input {
            LoopInput::Command(command) => self.ordered(command),
            LoopInput::Resolved {
                service,
                template,
                result,
                done,
            } => self.resolved(&service, *template, result, done),
            LoopInput::Fetched { fetch, result } => self.fetched(&fetch, result),
            LoopInput::LastLogs {
                service,
                slot,
                id,
                lines,
            } => {
                let turn = self.outside.turn(self.observing.sequence);
                if let Some(state) = self.services.get_mut(&service) {
                    state.read_last_logs(slot, &id, lines, &turn);
                }
            }
            LoopInput::Measured(measured) => self.measured(measured),
            LoopInput::Observed { sequence, result } => self.observed(sequence, result),
            LoopInput::Started {
                service,
                slot,
                result,
            } => self.started(&service, slot, result),
            LoopInput::Stopped {
                service,
                id,
                result,
            } => self.stopped(&service, &id, result),
            LoopInput::Frozen {
                service,
                id,
                paused,
                result,
            } => self.frozen(&service, &id, paused, result),
            LoopInput::Probed {
                service,
                id,
                verdict,
            } => {
                let turn = self.outside.turn(self.observing.sequence);
                if let Some(state) = self.services.get_mut(&service) {
                    state.probed(&id, verdict, &turn);
                }
            }
        }
    }

    pub(super) fn reconfigure(&mut self, services: Vec<Managed>, images: Images) -> Vec<ImageNote> {
        let turn = self.outside.turn(self.observing.sequence);
        let mut notes = Vec::new();
        let mut old = std::mem::take(&mut self.services);
        for managed in services {
            let name = managed.spec.name.clone();
            let state = match old.remove(&name) {
                Some(state) => {
                    let before = state.version().cloned();
                    let state = state.reconfigured(managed, images, &turn);
                    notes.extend(before.and_then(|before| state.image_note(&before, &turn)));
                    state
                }
                None => ServiceState::new(managed, &turn),
            };
            self.services.insert(name, state);
        }
        for (name, mut state) in old {
            state.remove();
            self.services.insert(name, state);
        }
        for state in self.services.values_mut() {
            state.adopt_others(&turn);
        }
        self.observing.wanted = true;
        notes
    }

    /// Plans and acts until nothing more is to be done now, publishes, and says when to look
    /// again.
    pub(super) fn settle(&mut self) -> Moment {
        let now = self.now();
        self.remove_if_told();
        self.services.retain(|_, state| !state.is_over());
        self.observe_if_due(now);
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_EVERY;
            self.services.values().for_each(ServiceState::sweep);
        }
        let mut wake = now + SAMPLE_EVERY;
        if let Some(at) = self.measure_if_due(now) {
            wake = wake.min(at);
        }
        let may_act = self.authority != Authority::ReadOnly;
        let turn = self.outside.turn(self.observing.sequence);
        for state in self.services.values_mut().filter(|_| may_act) {
            if let Some(at) = state.turn_rest(&turn).filter(|at| *at > now) {
                wake = wake.min(at);
            }
            if let Some(at) = state.scale(&turn).filter(|at| *at > now) {
                wake = wake.min(at);
            }
        }
        if may_act && self.observing.fresh {
            for state in self.services.values_mut() {
                state.follow_rollout(&turn);
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
        self.outside.writer.publish(self.snapshot(now));
        self.finish_removing();
        self.finish_stepping_back();
        if self.needs_engine() && !self.observing.under_way {
            wake = wake.min(self.observing.next);
        }
        // Never in the past, so that an overdue instant cannot spin the loop.
        wake.max(now + Duration::from_millis(1))
    }

    pub(super) fn plan_and_act(&mut self, now: Moment) -> (bool, Option<Moment>) {
        let mut acted = false;
        let mut wake: Option<Moment> = None;
        let mut permits = Permits::of(&self.services, self.starts_max, now);
        for name in permits::turns(&self.services) {
            let state = self.services.get_mut(&name).expect("taken from the keys");
            if !state.is_planned() {
                state.explain(Vec::new());
                continue;
            }
            let mut plan = state.plan(&permits, self.engine_up, self.engine.can(), now);
            if self.authority == Authority::NoPlannedStops {
                plan.postpone_planned_stops();
            }
            if let Some(at) = [plan.wake, state.next_turn(now)]
                .into_iter()
                .flatten()
                .min()
            {
                wake = Some(wake.map_or(at, |wake| wake.min(at)));
            }
            state.explain(plan.because);
            for action in plan.actions {
                acted = true;
                if matches!(action, Action::Start { .. }) {
                    permits.take();
                }
                self.act(&name, action);
            }
        }
        (acted, wake)
    }

    pub(super) fn snapshot(&self, now: Moment) -> Snapshot {
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
}
