//! The test's own knowledge of a run: lives, configurations, containers, and the log.

use crate::simulation::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidegate::service::replica::ReplicaId;
use tidegate::service::spec::{ServiceName, Slot, Spec};
use tokio::time::Instant;

/// As many starts as the control loop may have under way.
pub const STARTS_MAX: u32 = 3;
/// The scaler's interval.
pub const INTERVAL: Duration = Duration::from_secs(20);
/// No service replaces more at a time.
pub const PARALLELISM_MAX: u32 = 3;
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// A start or a removal that takes as long may have led to another port.
pub(super) const MAY_HANG: Duration = Duration::from_secs(5);

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
    pub(super) down: Option<(Instant, bool)>,
    pub log: Vec<String>,
    /// The first promise that was broken.
    pub broken: Option<String>,
    pub(super) began: Instant,

    // Of all lives of Tidegate.
    pub replicas: BTreeMap<ReplicaId, Known>,
    /// When the health check of an address was good last.
    pub well: BTreeMap<SocketAddr, Instant>,
    pub(super) configs: Vec<Config>,
    pub(super) configured: Instant,
    pub(super) max_ever: BTreeMap<ServiceName, u32>,
    pub(super) first_ports: BTreeMap<ServiceName, BTreeSet<Slot>>,
    pub(super) graces: Vec<(Instant, ServiceName, Duration)>,

    // Of this life.
    pub life: u32,
    pub(super) life_began: Instant,
    pub(super) starts: Vec<(u32, ServiceName, Slot)>,
    pub(super) starts_began: BTreeMap<(u32, ServiceName, Slot), Instant>,
    pub(super) recent_starts: VecDeque<(Instant, Slot)>,
    pub(super) open: BTreeMap<(ServiceName, Slot), ()>,
    pub(super) wanted: BTreeMap<ServiceName, u32>,
    pub(super) floor: BTreeMap<ServiceName, u32>,
    /// How many the life before wanted last: of those that run, some may have gone ahead.
    pub(super) wanted_before: BTreeMap<ServiceName, u32>,
    /// How many were wanted when the last container was made.
    pub(super) made_for: BTreeMap<ServiceName, Option<u32>>,
    /// As many were ready once, and are to stay so.
    pub(super) kept: BTreeMap<ServiceName, u32>,
    pub(super) down_since: Option<Instant>,
    pub taken: BTreeSet<Slot>,
    pub(super) publications: VecDeque<Instant>,
    pub publications_total: u64,
    pub observations: u64,
    pub actions: u64,
    pub reloaded: bool,
    /// How many starts took so long that another port may have been tried.
    pub(super) given_up_ever: usize,
}

/// One container that Tidegate made.
#[derive(Clone)]
pub struct Known {
    pub service: ServiceName,
    pub(super) slot: Slot,
    /// Requests in flight.
    pub held: u32,
    pub made: Instant,
    pub life: u32,
    /// Somebody restarted it, so what was in flight is lost anyway.
    pub restarted: bool,
    /// Ran again after a pause: its requests may finish from then on.
    pub resumed: Option<Instant>,
    pub(super) ready: bool,
    pub ready_since: Option<Instant>,
    pub(super) sick: bool,
    /// Runs and fails its health check: it may recover, and serves while none is better.
    pub(super) unwell: bool,
    pub(super) draining: Option<Instant>,
    /// The life that is stopping it.
    pub(super) stopping: Option<u32>,
    pub(super) stopping_since: Option<Instant>,
    pub(super) stop_failed: Option<Instant>,
    pub(super) stopped: bool,
}

impl Book {
    pub(super) fn new(seed: u64) -> Book {
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

    pub fn observe_begins(&mut self, _life: u32) {
        self.observations += 1;
    }

    pub(super) fn about(
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

    /// Something is done to containers.
    pub(super) fn acts(&mut self, what: &str) {
        self.actions += 1;
        self.note(format!("   {what}"));
        // A call that was decided on before may reach the engine in the same instant.
        let down = self.down_since.is_some_and(|at| at < Instant::now());
        self.promise(!down, || format!("{what} while the engine is down"));
    }
}
