//! What the test knows by itself, and the promises it holds the control loop to.

use super::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate::engine::EngineError;
use tidegate::service::event::Event;
use tidegate::service::replica::{Ailment, Phase, ReplicaId};
use tidegate::service::snapshot::{ServiceView, Snapshot};
use tidegate::service::spec::{Bounds, ServiceName, Slot, Spec, UpdateOrder};
use tokio::time::Instant;

/// As many starts as the control loop may have under way.
pub const STARTS_MAX: u32 = 3;
/// The scaler's interval.
pub const INTERVAL: Duration = Duration::from_secs(20);
/// No health check of the simulation takes longer to find a ready replica sick: three failures,
/// each a timeout of 1 s and an interval of 2 s at most, and the interval before the first.
const PATIENCE: Duration = Duration::from_secs(12);
/// Containers that no configuration speaks of get this long to drain.
const ORPHAN_GRACE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// A start without slow calls, and the health checks that follow.
const START_TIME: Duration = Duration::from_secs(3);
/// A service with nothing ready is healed within its start time and this, whatever others do.
const HEALED_AFTER: Duration = Duration::from_secs(5);
/// A removal of its own that fails or hangs is given up on within this.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(6);
/// A start or a removal that takes as long may have led to another port.
const MAY_HANG: Duration = Duration::from_secs(5);
/// Later on, a start counts no more.
const START_HANGS_AFTER: Duration = Duration::from_secs(10);
/// Starts that take long give their place to services with nothing ready, up to twice as many.
const CROWDED: u32 = 2;

/// No service replaces more at a time.
pub const PARALLELISM_MAX: u32 = 3;

/// How many replicas of what is wanted may be missing while they are replaced.
fn may_miss(spec: &Spec) -> u32 {
    match spec.update.order {
        UpdateOrder::StartFirst => 0,
        UpdateOrder::StopFirst => spec.update.parallelism,
    }
}

/// Fate of a removal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stuck {
    Fails,
    Hangs,
}

#[derive(Clone)]
pub struct Shared(Arc<Mutex<Book>>);

impl Shared {
    pub fn new(seed: u64) -> Shared {
        Shared(Arc::new(Mutex::new(Book::new(seed))))
    }

    pub fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub type Config = BTreeMap<ServiceName, Arc<Spec>>;

pub struct Book {
    pub rng: Rng,
    /// Whether calls are slow, listings old, and notifications lost.
    pub slow: bool,
    /// Whether calls fail.
    pub failing: bool,
    /// Whether nothing goes wrong but what is planned: then nobody ever gets sick.
    pub planned: bool,
    /// Services whose starts get no answer.
    pub hanging: BTreeSet<ServiceName>,
    /// Slots from which nothing can be removed.
    pub stuck: BTreeMap<Slot, Stuck>,
    /// A service to which nothing happens but that it loses its containers, while others are in
    /// all kinds of trouble.
    pub witness: Option<ServiceName>,
    /// Since when the witness has nothing ready, and whether a removal of its own is stuck.
    down: Option<(Instant, bool)>,
    pub log: Vec<String>,
    /// The first promise that was broken.
    pub broken: Option<String>,
    began: Instant,

    // Of all lives of Tidegate.
    pub replicas: BTreeMap<ReplicaId, Known>,
    /// When the health check of an address was good last.
    pub well: BTreeMap<SocketAddr, Instant>,
    configs: Vec<Config>,
    configured: Instant,
    max_ever: BTreeMap<ServiceName, u32>,
    first_ports: BTreeMap<ServiceName, BTreeSet<Slot>>,
    graces: Vec<(Instant, ServiceName, Duration)>,

    // Of this life.
    pub life: u32,
    life_began: Instant,
    starts: Vec<(u32, ServiceName, Slot)>,
    starts_began: BTreeMap<(u32, ServiceName, Slot), Instant>,
    recent_starts: VecDeque<(Instant, Slot)>,
    open: BTreeMap<(ServiceName, Slot), ()>,
    wanted: BTreeMap<ServiceName, u32>,
    floor: BTreeMap<ServiceName, u32>,
    /// How many the life before wanted last: of those that run, some may have gone ahead.
    wanted_before: BTreeMap<ServiceName, u32>,
    /// How many were wanted when the last container was made.
    made_for: BTreeMap<ServiceName, Option<u32>>,
    /// As many were ready once, and are to stay so.
    kept: BTreeMap<ServiceName, u32>,
    down_since: Option<Instant>,
    pub taken: BTreeSet<Slot>,
    publications: VecDeque<Instant>,
    pub publications_total: u64,
    pub observations: u64,
    pub actions: u64,
    pub reloaded: bool,
    /// How many starts took so long that another port may have been tried.
    given_up_ever: usize,
}

/// One container that Tidegate made.
#[derive(Clone)]
pub struct Known {
    pub service: ServiceName,
    slot: Slot,
    /// Requests in flight.
    pub held: u32,
    pub made: Instant,
    pub life: u32,
    /// Somebody restarted it, so what was in flight is lost anyway.
    pub restarted: bool,
    /// Somebody paused it, so what was in flight may get no answer.
    pub paused: bool,
    ready: bool,
    pub ready_since: Option<Instant>,
    sick: bool,
    /// It runs and fails its health check, so it may recover, and serve while none is better.
    unwell: bool,
    draining: Option<Instant>,
    /// The life that is stopping it.
    stopping: Option<u32>,
    stopping_since: Option<Instant>,
    stop_failed: Option<Instant>,
    stopped: bool,
}

impl Book {
    fn new(seed: u64) -> Book {
        let now = Instant::now();
        Book {
            rng: Rng::new(seed),
            slow: true,
            failing: true,
            planned: false,
            hanging: BTreeSet::new(),
            stuck: BTreeMap::new(),
            witness: None,
            down: None,
            log: Vec::new(),
            broken: None,
            began: now,
            replicas: BTreeMap::new(),
            well: BTreeMap::new(),
            configs: Vec::new(),
            configured: now,
            max_ever: BTreeMap::new(),
            first_ports: BTreeMap::new(),
            graces: Vec::new(),
            life: 0,
            life_began: now,
            starts: Vec::new(),
            starts_began: BTreeMap::new(),
            recent_starts: VecDeque::new(),
            open: BTreeMap::new(),
            wanted: BTreeMap::new(),
            floor: BTreeMap::new(),
            wanted_before: BTreeMap::new(),
            made_for: BTreeMap::new(),
            kept: BTreeMap::new(),
            down_since: None,
            taken: BTreeSet::new(),
            publications: VecDeque::new(),
            publications_total: 0,
            observations: 0,
            actions: 0,
            reloaded: false,
            given_up_ever: 0,
        }
    }

    pub fn note(&mut self, line: impl AsRef<str>) {
        let at = self.began.elapsed().as_secs_f64();
        self.log.push(format!("{at:>9.3}s {}", line.as_ref()));
    }

    pub fn chance(&mut self) -> (bool, &mut Rng) {
        (self.slow, &mut self.rng)
    }

    pub fn promise(&mut self, kept: bool, what: impl FnOnce() -> String) {
        if !kept && self.broken.is_none() {
            let what = what();
            self.note(format!("!! {what}"));
            self.broken = Some(what);
        }
    }

    // === what the test does ===

    pub fn new_life(&mut self) {
        self.life += 1;
        self.life_began = Instant::now();
        for known in self.replicas.values_mut() {
            known.ready = false;
            known.sick = false;
            known.unwell = false;
            known.draining = None;
            known.stopped = false;
            known.stop_failed = None;
            known.held = 0;
        }
        self.recent_starts.clear();
        self.open.clear();
        let wanted = std::mem::take(&mut self.wanted);
        self.wanted_before.extend(wanted);
        self.floor.clear();
        self.kept.clear();
        self.down_since = None;
        self.taken.clear();
        self.reloaded = false;
        self.note(format!("== life {} of tidegate ==", self.life));
    }

    /// A configuration is on its way; until it has arrived, the old one may still hold.
    pub fn configuring(&mut self, config: Config) {
        for (name, spec) in &config {
            let max = self.max_ever.entry(name.clone()).or_default();
            *max = spec.bounds.max.max(*max);
            if let Some(template) = spec.template() {
                let ports = self.first_ports.entry(name.clone()).or_default();
                ports.insert(template.first_port);
            }
            let grace = spec.stop_grace_period;
            self.graces.push((Instant::now(), name.clone(), grace));
        }
        self.configs.push(config);
    }

    pub fn configured(&mut self) {
        self.configured = Instant::now();
        self.configs.drain(..self.configs.len() - 1);
    }

    // === what the engine is asked ===

    pub fn observe_begins(&mut self, _life: u32) {
        self.observations += 1;
    }

    pub fn start_begins(
        &mut self,
        life: u32,
        service: &ServiceName,
        slot: Slot,
    ) -> (u32, ServiceName, Slot) {
        let start = (life, service.clone(), slot);
        self.acts(&format!("start {slot}"));
        let twice = self.starts.contains(&start);
        self.promise(!twice, || format!("two starts under way on {slot}"));
        self.starts.push(start.clone());
        self.starts_began.insert(start.clone(), Instant::now());
        let prompt = |start: &&(u32, ServiceName, Slot)| {
            let began = self.starts_began.get(start);
            start.0 == life && began.is_some_and(|at| at.elapsed() < START_HANGS_AFTER)
        };
        let under_way = self.starts.iter().filter(prompt).count();
        self.promise(under_way <= (STARTS_MAX * CROWDED) as usize, || {
            format!("{under_way} starts are under way")
        });
        let now = Instant::now();
        self.recent_starts.retain(|(at, _)| now - *at < SECOND);
        self.recent_starts.push_back((now, slot));
        let recent = self.recent_starts.iter().filter(|(_, s)| *s == slot);
        let recent = recent.count();
        self.promise(recent <= 4, || {
            format!("{recent} starts on {slot} within a second")
        });
        start
    }

    pub fn made(&mut self, life: u32, id: &ReplicaId, spec: &Spec, slot: Slot) {
        let service = &spec.name;
        self.made_for.insert(service.clone(), spec.wanted);
        self.note(format!("   {service}: made {id} on {slot}, life {life}"));
        let known = Known {
            service: service.clone(),
            slot,
            held: 0,
            made: Instant::now(),
            life,
            restarted: false,
            paused: false,
            ready: false,
            ready_since: None,
            sick: false,
            unwell: false,
            draining: None,
            stopping: None,
            stopping_since: None,
            stop_failed: None,
            stopped: false,
        };
        self.replicas.insert(id.clone(), known);
    }

    pub fn start_ends(
        &mut self,
        start: (u32, ServiceName, Slot),
        result: &Result<ReplicaId, EngineError>,
    ) {
        self.starts.retain(|other| *other != start);
        let began = self.starts_began.remove(&start);
        let (life, service, slot) = start;
        if life == self.life && began.is_some_and(|since| since.elapsed() >= MAY_HANG) {
            self.taken.insert(slot);
            self.given_up_ever += 1;
        }
        match result {
            Ok(id) => self.note(format!("   {service}: {id} runs on {slot}, life {life}")),
            Err(error) => self.note(format!(
                "   {service}: start on {slot} failed, {:?}, life {life}",
                error.kind
            )),
        }
    }

    /// What is paused answers nobody.
    pub fn pause_begins(&mut self, id: &ReplicaId) {
        self.acts(&format!("pause {id}"));
        let known = self.replicas.get(id).cloned();
        let free = known.is_some_and(|known| known.held == 0 || known.restarted);
        self.promise(free, || format!("paused {id} with requests in flight"));
    }

    pub fn stop_begins(&mut self, life: u32, id: &ReplicaId) {
        self.acts(&format!("stop {id}"));
        let Some(known) = self.replicas.get(id).cloned() else {
            return self.promise(false, || format!("stopped {id}, which is not ours"));
        };
        self.promise(known.stopping != Some(life), || {
            format!("two stops of {id} under way")
        });
        self.promise(!known.ready || known.restarted, || {
            format!("stopped {id} while in rotation")
        });
        let again = known.stop_failed.is_some_and(|at| at.elapsed() < SECOND);
        self.promise(!again, || format!("stopped {id} again at once"));
        // A stop that failed may be repeated, whatever is still in flight.
        let lost = known.sick || known.restarted || known.paused;
        let free = known.held == 0 || lost || known.stop_failed.is_some();
        let overdue = known.draining.is_some_and(|since| {
            let grace = self.shortest_grace(&known.service, since);
            since.elapsed() >= grace
        });
        self.promise(free || overdue, || {
            format!("stopped {id} with {} in flight", known.held)
        });
        let known = self.replicas.get_mut(id).expect("known");
        known.stopping = Some(life);
        known.stopping_since = Some(Instant::now());
    }

    /// The shortest grace period that the service had since then.
    fn shortest_grace(&self, service: &ServiceName, since: Instant) -> Duration {
        let of_service = self.graces.iter().filter(|(_, name, _)| name == service);
        let mut before = of_service.clone().filter(|(at, ..)| *at <= since);
        let after = of_service.filter(|(at, ..)| *at > since);
        let last_before = before.next_back();
        let graces = last_before.into_iter().chain(after);
        graces
            .map(|(.., grace)| *grace)
            .min()
            .map_or(ORPHAN_GRACE, |grace| grace.min(ORPHAN_GRACE))
    }

    pub fn stop_ends(&mut self, life: u32, id: &ReplicaId, result: &Result<(), EngineError>) {
        let kind = result.as_ref().err().map(|error| error.kind);
        self.note(format!("   stop of {id} ended, {kind:?}, life {life}"));
        if let Some(known) = self.replicas.get_mut(id)
            && known.stopping == Some(life)
        {
            known.stopping = None;
            let took = known.stopping_since.take().map(|since| since.elapsed());
            if life == self.life {
                known.stop_failed = result.is_err().then(Instant::now);
                if result.is_err() || took >= Some(MAY_HANG) {
                    self.taken.insert(known.slot);
                }
            }
        }
    }

    /// Ports that may have been left to calls that take long.
    fn given_up(&self) -> u32 {
        let hangs = |since: &Instant| since.elapsed() >= MAY_HANG;
        let stops = self.replicas.values();
        let stops = stops.filter(|known| known.stopping_since.as_ref().is_some_and(hangs));
        let starts = self.starts_began.values().filter(|since| hangs(since));
        (stops.count() + starts.count()) as u32
    }

    /// Somebody who looks sees that the promise of a quick replacement is kept.
    fn judge_witness(&mut self, view: &ServiceView) {
        let stuck = self.replicas.values().any(|known| {
            let is_stopping = known.stopping.is_some() || known.stop_failed.is_some();
            known.service == view.name && is_stopping && self.stuck.contains_key(&known.slot)
        });
        let is_down = view.ready.is_empty() && view.desired > 0;
        let Some((since, was_stuck)) = self.down else {
            self.down = is_down.then(|| (Instant::now(), stuck));
            return;
        };
        let stuck = stuck || was_stuck;
        self.down = is_down.then_some((since, stuck));
        let given_up = if stuck {
            GIVEN_UP_AFTER
        } else {
            Duration::ZERO
        };
        let (name, since) = (&view.name, since.elapsed());
        let because = view.because.join("; ");
        self.promise(since <= START_TIME + HEALED_AFTER + given_up, || {
            format!("{name} has had nothing ready for {since:?}, stuck: {stuck} ({because})")
        });
    }

    /// Something is done to containers.
    fn acts(&mut self, what: &str) {
        self.actions += 1;
        self.note(format!("   {what}"));
        // A call that was decided on before may reach the engine in the same instant.
        let down = self.down_since.is_some_and(|at| at < Instant::now());
        self.promise(!down, || format!("{what} while the engine is down"));
    }

    // === what the control loop says ===

    pub fn event(&mut self, life: u32, event: &Event) {
        if matches!(event, Event::Checked { .. } | Event::Decided { .. }) || life != self.life {
            return;
        }
        self.note(event.to_string());
        match event {
            Event::EngineUp => self.down_since = None,
            // By requests, and there are none.
            Event::Ejected { .. } => {}
            Event::EngineDown { .. } => {
                self.promise(self.down_since.is_none(), || "down twice".to_owned());
                self.down_since = Some(Instant::now());
            }
            Event::Scaled {
                service, to, from, ..
            } => {
                self.promise(from != to, || "scaled to what it was".to_owned());
                self.wanted.insert(service.clone(), *to);
            }
            Event::Adopted { service, .. } => *self.floor.entry(service.clone()).or_default() += 1,
            Event::Starting { service, slot } => self.starting(service, *slot),
            Event::StartFailed { service, slot, .. } => self.answered(service, *slot),
            Event::PortTaken { service, slot } => {
                self.answered(service, *slot);
                self.taken.insert(*slot);
            }
            Event::Ready {
                service, slot, id, ..
            } => {
                self.answered(service, *slot);
                self.about(service, id, |known| {
                    let well = !known.sick || known.unwell;
                    let fine = well && !known.stopped && known.draining.is_none();
                    known.ready = true;
                    known.ready_since = Some(Instant::now());
                    (known.sick, known.unwell) = (false, false);
                    (fine, "became ready though it is sick, draining or gone")
                });
            }
            Event::NotReady { service, id, .. } => self.about(service, id, |known| {
                let fine = (!known.ready || known.restarted) && !known.sick && !known.stopped;
                (fine, "is not healthy yet though it is ready, sick or gone")
            }),
            Event::Sick {
                service,
                slot,
                id,
                ailment,
            } => {
                self.answered(service, *slot);
                let planned = self.planned;
                self.promise(!planned, || format!("{id} is sick of nothing"));
                self.about(service, id, |known| {
                    let fine = !known.sick && !known.stopped;
                    known.unwell = known.ready && matches!(ailment, Ailment::Unhealthy { .. });
                    (known.sick, known.ready) = (true, false);
                    (fine, "is sick twice or gone")
                });
            }
            Event::Draining { service, id, .. } => {
                self.about(service, id, |known| {
                    let fine = known.ready;
                    known.ready = false;
                    known.draining = Some(Instant::now());
                    (fine, "drains though it was not in rotation")
                });
                self.enough_others(service, id);
            }
            Event::Returned { service, id, .. } => self.about(service, id, |known| {
                let fine = known.draining.take().is_some() && !known.sick;
                known.ready = true;
                (fine, "returns though it did not drain")
            }),
            Event::Paused {
                service, slot, id, ..
            } => {
                self.answered(service, *slot);
                self.about(service, id, |known| {
                    let fine = !known.stopped && !known.sick && known.draining.is_none();
                    known.ready = false;
                    (fine, "sleeps though it is sick, draining or gone")
                });
            }
            Event::Resumed { service, id, .. } => self.about(service, id, |known| {
                (!known.ready, "runs again though it did not sleep")
            }),
            Event::Drained { service, id, .. } => self.about(service, id, |known| {
                // Kept: the stop that follows is judged by it.
                (
                    known.draining.is_some(),
                    "was drained though it did not drain",
                )
            }),
            Event::Stopped { service, slot, id } => {
                self.answered(service, *slot);
                self.about(service, id, |known| {
                    let fine = !known.stopped && (!known.ready || known.restarted);
                    known.stopped = true;
                    (fine, "was stopped twice or in rotation")
                });
            }
            Event::StopFailed { .. }
            | Event::PauseFailed { .. }
            | Event::ResumeFailed { .. }
            | Event::Rolling { .. }
            | Event::RolledOut { .. }
            | Event::RolloutFailed { .. }
            | Event::RolledBack { .. }
            | Event::SaidLast { .. }
            | Event::RequestFailed { .. }
            | Event::TurnedAway { .. }
            | Event::Reloaded { .. }
            | Event::Decided { .. }
            | Event::Checked { .. } => {}
        }
    }

    fn about(
        &mut self,
        service: &ServiceName,
        id: &ReplicaId,
        note: impl FnOnce(&mut Known) -> (bool, &'static str),
    ) {
        match self.replicas.get_mut(id) {
            Some(known) => {
                let (fine, what) = note(known);
                self.promise(fine, || format!("{id} {what}"));
            }
            // An address of a service that has no containers.
            None => {
                let fixed = |config: &Config| {
                    config
                        .get(service)
                        .is_some_and(|spec| spec.template().is_none())
                };
                let fixed = self.configs.iter().any(fixed) || id.0.starts_with("10.");
                self.promise(fixed, || format!("{id} is not ours"));
            }
        }
    }

    fn starting(&mut self, service: &ServiceName, slot: Slot) {
        let down = self.down_since.is_some();
        self.promise(!down, || "starts while the engine is down".to_owned());
        let unanswered = self.open.insert((service.clone(), slot), ()).is_some();
        self.promise(!unanswered, || {
            format!("the start before on {slot} has no outcome")
        });
        let taken = self.taken.len() as u32 + self.given_up();
        let within = |config: &Config| {
            let spec = config.get(service)?;
            let first = u32::from(spec.template()?.first_port);
            Some(
                (first..first + spec.bounds.max + PARALLELISM_MAX + taken)
                    .contains(&u32::from(slot)),
            )
        };
        let within = self.configs.iter().filter_map(within).any(|within| within);
        self.promise(within, || format!("starts on {slot}, out of its range"));
    }

    fn answered(&mut self, service: &ServiceName, slot: Slot) {
        self.open.remove(&(service.clone(), slot));
    }

    /// A planned stop leaves as many in rotation as are wanted.
    fn enough_others(&mut self, service: &ServiceName, id: &ReplicaId) {
        let wanted = self.wanted.get(service).copied().unwrap_or(0);
        let (mut most, mut missing) = (u32::MAX, 0);
        for config in &self.configs {
            match config.get(service) {
                Some(spec) if spec.template().is_some() => {
                    most = most.min(spec.bounds.max);
                    missing = missing.max(may_miss(spec));
                }
                _ => return,
            }
        }
        let wanted = wanted.min(most).saturating_sub(missing);
        let others = self.replicas.iter();
        let others = others.filter(|(_, known)| known.service == *service && known.ready);
        let others = others.count() as u32;
        self.promise(others >= wanted, || {
            format!("{id} drains though only {others} others are ready of {wanted} wanted")
        });
    }

    // === what requests see ===

    /// Judges a snapshot that was just published.
    pub fn published(&mut self, life: u32, snapshot: &Snapshot) {
        if life != self.life {
            return;
        }
        let now = Instant::now();
        self.publications_total += 1;
        self.publications.retain(|at| now - *at < SECOND);
        self.publications.push_back(now);
        let publications = self.publications.len();
        self.promise(publications <= 300, || {
            format!("{publications} snapshots within a second")
        });
        self.judge(snapshot);
    }

    pub fn judge(&mut self, snapshot: &Snapshot) {
        for (name, view) in &snapshot.services {
            let slots: Vec<Slot> = view.ready.iter().map(|replica| replica.slot).collect();
            let ascending = slots.windows(2).all(|pair| pair[0] < pair[1]);
            self.promise(ascending, || format!("{name}: ready are {slots:?}"));
            let none_is_well = view
                .replicas
                .iter()
                .all(|replica| replica.phase != Phase::Ready);
            for replica in &view.ready {
                let known = self.replicas.get(&replica.id);
                if none_is_well && known.is_some_and(|known| known.unwell && !known.stopped) {
                    // A bad answer is better than none.
                    continue;
                }
                let mut views = view.replicas.iter().filter(|view| view.id == replica.id);
                let phase = views.next().map(|view| view.phase);
                let fine = phase == Some(Phase::Ready) && views.next().is_none();
                let id = &replica.id;
                self.promise(fine, || format!("{id} is in rotation and {phase:?}"));
                let unwell = self.well.get(&replica.address).map(Instant::elapsed);
                // A health check that was changed begins to count anew.
                let unwell = unwell.map(|unwell| unwell.min(self.configured.elapsed()));
                self.promise(unwell.is_some_and(|unwell| unwell <= PATIENCE), || {
                    format!("{id} is in rotation and was not well for {unwell:?}")
                });
                let Some(known) = self.replicas.get(id) else {
                    continue;
                };
                let fine = !known.sick && known.draining.is_none() && !known.stopped;
                let fine = fine && known.stopping != Some(self.life);
                self.promise(fine, || format!("{id} is in rotation and should not be"));
            }
            if self.witness.as_ref() == Some(name) {
                self.judge_witness(view);
            }
            self.wanted.insert(name.clone(), view.desired);
            let bounds: Vec<Option<Bounds>> = self
                .configs
                .iter()
                .map(|config| Some(config.get(name)?.bounds))
                .collect();
            let fixed = self.configs.iter().any(|config| {
                config
                    .get(name)
                    .is_some_and(|spec| spec.template().is_none())
            });
            let within = |bounds: &Option<Bounds>| match bounds {
                Some(bounds) => (bounds.min..=bounds.max).contains(&view.desired),
                None => view.desired == 0,
            };
            let within = fixed || bounds.iter().any(within);
            self.promise(within, || {
                format!("{name}: {} are wanted of {bounds:?}", view.desired)
            });
            if self.planned {
                self.keeps(name, view.ready.len() as u32);
            }
            // What ran when this life began stays wanted for an interval at least.
            let floor = self.floor.get(name).copied().unwrap_or(0);
            let before = self.wanted_before.get(name);
            let floor = before.map_or(floor, |before| floor.min(*before));
            // All that an earlier life left of what it wanted.
            let made_for = self.made_for.get(name).copied().flatten();
            let floor = made_for.map_or(floor, |made_for| floor.min(made_for));
            let removed = bounds.contains(&None);
            if !self.reloaded && !removed && self.life_began.elapsed() < INTERVAL {
                let max = bounds.iter().flatten().map(|bounds| bounds.max).min();
                let floor = floor.min(max.unwrap_or(0));
                self.promise(fixed || view.desired >= floor, || {
                    format!("{name}: {} are wanted after {floor} ran", view.desired)
                });
            }
        }
    }

    /// What is planned never takes away what is ready and wanted.
    fn keeps(&mut self, service: &ServiceName, ready: u32) {
        let mut least = u32::MAX;
        for config in &self.configs {
            least = least.min(match config.get(service) {
                Some(spec) if spec.template().is_some() => {
                    spec.bounds.min.saturating_sub(may_miss(spec))
                }
                Some(_) => 1,
                None => 0,
            });
        }
        let kept = self.kept.get(service).copied().unwrap_or(0).min(least);
        self.promise(ready >= kept, || {
            format!("{service}: {ready} ready of {kept} that were")
        });
        self.kept
            .insert(service.clone(), kept.max(ready.min(least)));
    }

    /// Containers that are to stay, and starts: never more than are wanted at most, one ahead,
    /// and those on ports that the service has left.
    pub fn judge_count(&mut self, service: &ServiceName, staying: usize) {
        let max = self.max_ever.get(service).copied().unwrap_or(0) as usize;
        let ranges = self.first_ports.get(service).map_or(1, BTreeSet::len);
        // Starts of an earlier life that the engine carried out all the same.
        let late = if self.life > 1 { max } else { 0 };
        // Beside a start that hangs, and comes through after all, there is another one.
        let most = max * ranges + PARALLELISM_MAX as usize + late + self.given_up_ever;
        self.promise(staying <= most, || {
            format!("{service}: {staying} containers, {most} at most")
        });
    }

    pub fn stays(&self, id: &ReplicaId) -> bool {
        let known = self.replicas.get(id);
        known.is_some_and(|known| {
            known.stopping.is_none() && known.draining.is_none() && !known.sick
        })
    }

    pub fn open_starts(&self) -> Vec<Slot> {
        self.open.keys().map(|(_, slot)| *slot).collect()
    }
}
