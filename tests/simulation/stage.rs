//! One run: a world, its faults, and what must be true when they are over.

use super::book::{INTERVAL, PARALLELISM_MAX, STARTS_MAX, Shared, Stuck};
use super::client::Client;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tidegate::control::{Control, Handle, Images, Managed};
use tidegate::engine::fake::FakeEngine;
use tidegate::plugin::{Hooks, Probe, Registry, Scaler};
use tidegate::service::event::Event;
use tidegate::service::lease::Lease;
use tidegate::service::load::Cursor;
use tidegate::service::replica::{Observed, ReplicaId, RunState};
use tidegate::service::snapshot::{RolloutStage, ServiceView, Snapshot};
use tidegate::service::spec::{
    Bounds, FailureAction, Forward, HealthTiming, Order, Pull, ServiceName, SleepTerms, Slot,
    Source, Spec, SpecHash, Template, Update, Version,
};
use tidegate::service::store::{self, Reader};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

const NAMES: [&str; 3] = ["a", "b", "c"];
/// Each service has one of these to itself, and room for its replicas.
const FIRST_PORTS: [Slot; 5] = [8000, 8020, 8040, 8060, 8080];
/// From the end of all faults until everything is as declared: the longest back-off, slow calls
/// that are still on their way, a start period, and a roll through all replicas.
const HEALED_WITHIN: Duration = Duration::from_secs(240);
/// Requests in flight, slow calls that are still on their way, and the longest pause after a
/// removal that failed.
const GONE_WITHIN: Duration = Duration::from_secs(150);
/// The control loop's own.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
/// A start that nothing disturbs.
const WOKEN_WITHIN: Duration = Duration::from_secs(5);
/// After that nothing happens any more.
const QUIET_FOR: Duration = Duration::from_secs(30);

pub struct Run {
    pub log: Vec<String>,
    pub broken: Option<String>,
}

pub fn play(seed: u64) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let book = runtime.block_on(async {
        let mut stage = Stage::new(seed);
        stage.run().await;
        stage.book.clone()
    });
    drop(runtime);
    let mut book = book.lock();
    Run {
        log: std::mem::take(&mut book.log),
        broken: book.broken.take(),
    }
}

struct Stage {
    book: Shared,
    engine: FakeEngine,
    health: Arc<SimProbe>,
    scaler: Arc<dyn Scaler>,
    services: BTreeMap<&'static str, Declared>,
    held: Vec<(Instant, ReplicaId, Lease)>,
    /// Who was served last, to see that the turns are taken in order.
    served: BTreeMap<ServiceName, (Arc<Cursor>, Slot)>,
    taken: BTreeSet<Slot>,
    /// Images that have to be pulled, so that no two are the same.
    pulled: usize,
    strangers: usize,
    life: Option<Life>,
}

struct Life {
    handle: Handle,
    reader: Reader,
    over: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

/// A service as the user would write it down.
#[derive(Clone, Debug)]
struct Declared {
    image: usize,
    min: u32,
    max: u32,
    first_port: Slot,
    grace: Duration,
    interval: Duration,
    retries: u32,
    start_period: Duration,
    update: Update,
    /// Sleeps when nobody asks for it; then `min` is 0.
    sleep: Option<SleepTerms>,
    spare: u32,
    /// Plain addresses instead of an image.
    fixed: bool,
    probe: u32,
}

impl Stage {
    fn new(seed: u64) -> Stage {
        let book = Shared::new(seed);
        let engine = FakeEngine::new();
        let health = SimProbe {
            engine: engine.clone(),
            book: book.clone(),
            sick: Arc::default(),
        };
        Stage {
            book,
            engine,
            health: Arc::new(health),
            scaler: requests_scaler(),
            services: BTreeMap::new(),
            held: Vec::new(),
            served: BTreeMap::new(),
            taken: BTreeSet::new(),
            pulled: 0,
            strangers: 0,
            life: None,
        }
    }

    async fn run(&mut self) {
        // Each run leaves some faults out, so that the others are seen by themselves.
        let mut kinds: Vec<usize> = (0..FAULTS).collect();
        kinds.retain(|_| self.book.lock().rng.percent(60));
        if self.below(6) == 0 {
            kinds = PLANNED.collect();
            let mut book = self.book.lock();
            (book.planned, book.failing) = (true, false);
        } else if self.below(4) == 0 {
            kinds = WITNESSED.collect();
            let mut book = self.book.lock();
            (book.slow, book.failing) = (false, false);
            book.witness = Some(ServiceName::new(WITNESS));
        }
        self.begin().await;
        let steps = 20 + self.below(80);
        for _ in 0..steps {
            let pause = self.pause();
            sleep(pause).await;
            if let Some(kind) = self.pick(&kinds) {
                self.fault(kind).await;
            }
            self.requests();
            self.judge();
            if self.book.lock().broken.is_some() {
                return;
            }
        }
        if self.below(5) == 0 {
            self.calm();
            if self.below(2) == 0 {
                self.book.lock().planned = false;
                self.restart().await;
            }
        } else {
            self.heal().await;
            self.wake_all().await;
        }
        self.leave().await;
    }

    fn pause(&mut self) -> Duration {
        let rng = &mut self.book.lock().rng;
        match rng.below(8) {
            0 => Duration::ZERO,
            1 | 2 => rng.millis(1, 50),
            3..=5 => rng.millis(50, 2_000),
            6 => rng.millis(2_000, 10_000),
            _ => rng.millis(10_000, 30_000),
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.book.lock().rng.below(end)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        self.book.lock().rng.pick(from)
    }

    fn note(&self, line: &str) {
        self.book.lock().note(line);
    }

    fn promise(&self, kept: bool, what: impl FnOnce() -> String) {
        self.book.lock().promise(kept, what);
    }

    // === faults ===

    async fn fault(&mut self, kind: usize) {
        match kind {
            0 => self.on_one("exits", RunState::Running, |engine, slot| {
                engine.exit(slot, 1);
            }),
            1 => self.on_one("paused", RunState::Running, |engine, slot| {
                engine.pause(slot);
            }),
            2 => self.on_one("unpaused", RunState::Paused, |engine, slot| {
                engine.unpause(slot);
            }),
            3 => self.on_one("removed", RunState::Running, |engine, slot| {
                engine.remove(slot);
            }),
            4 => self.on_one("restarted", RunState::Running, |engine, slot| {
                engine.restart(slot);
            }),
            5 => self.engine_away(false).await,
            6 => self.engine_away(true).await,
            7 => self.sicken().await,
            8 => self.health.sick.lock().clear(),
            9 => self.take_or_free_a_port(),
            10 => self.restart().await,
            11 => {
                let (slow, failing) = (self.below(2) == 0, self.below(2) == 0);
                let mut book = self.book.lock();
                (book.slow, book.failing) = (slow, failing);
                book.note(format!("-- calls are slow: {slow}, fail: {failing}"));
            }
            12..=16 => self.reload().await,
            17 | 18 => self.traffic(),
            19 => self.deploy().await,
            20 => self.drain().await,
            21..24 => self.hold(),
            24 => self.hang_starts(),
            25 => self.pull().await,
            26 => self.jam(),
            27 => self.run_stranger(),
            28 => self.cut_down(),
            _ => self.requests_for_others(),
        }
    }

    /// Starts of one service get no answer from now on, or do again.
    fn hang_starts(&mut self) {
        let Some(name) = self.pick(&NAMES).filter(|name| !self.is_witness(name)) else {
            return;
        };
        let name = ServiceName::new(name);
        let mut book = self.book.lock();
        let hang = !book.hanging.remove(&name);
        if hang {
            book.hanging.insert(name.clone());
        }
        book.note(format!("-- starts of {name} hang: {hang}"));
    }

    /// A service gets an image that takes long to pull.
    async fn pull(&mut self) {
        let name = self.pick(&NAMES).expect("not empty");
        if self.is_witness(name) || !self.services.contains_key(name) {
            return;
        }
        self.pulled += 1;
        let image = PULLED + self.pulled;
        let takes = self.book.lock().rng.millis(1_000, 60_000);
        self.engine.pull_time(&format!("{name}:{image}"), takes);
        self.services.get_mut(name).expect("just seen").image = image;
        self.note(&format!(
            "-- reload: {name}: an image that takes {takes:?} to pull"
        ));
        self.configure().await;
    }

    /// Removals from a slot fail or hang from now on, or work again.
    fn jam(&mut self) {
        let slots: Vec<Slot> = self.engine.replicas().iter().map(|it| it.slot).collect();
        let Some(slot) = self.pick(&slots) else {
            return;
        };
        let mut book = self.book.lock();
        let stuck = match book.stuck.remove(&slot) {
            Some(_) => None,
            None => book.rng.pick(&[Stuck::Fails, Stuck::Hangs]),
        };
        book.stuck.extend(stuck.map(|stuck| (slot, stuck)));
        book.note(format!("-- removals from {slot}: {stuck:?}"));
    }

    /// With our labels, on a port that a replica may want.
    fn run_stranger(&mut self) {
        let first = self.pick(&FIRST_PORTS).expect("not empty");
        let slot = first + self.below(4) as Slot;
        let replicas = self.engine.replicas();
        let ours = replicas
            .iter()
            .any(|it| it.slot == slot && !it.addresses.is_empty());
        if !ours && self.taken.insert(slot) {
            let id = self.engine.run_stranger(slot);
            self.strangers += 1;
            self.note(&format!("-- the stranger {id} is on {slot}"));
        }
    }

    fn is_witness(&self, name: &str) -> bool {
        let book = self.book.lock();
        book.witness.as_ref().is_some_and(|it| it.as_str() == name)
    }

    /// The witness loses all its containers, if these have lasted for so long that it may not
    /// be called a crash loop.
    fn cut_down(&mut self) {
        let replicas = self.engine.replicas();
        let its: Vec<&Observed> = replicas
            .iter()
            .filter(|it| self.is_witness(it.service.as_str()))
            .collect();
        let lasted = |it: &&Observed| {
            let book = self.book.lock();
            let since = book
                .replicas
                .get(&it.id)
                .and_then(|known| known.ready_since);
            since.is_some_and(|since| since.elapsed() > LASTED)
        };
        let alive = || its.iter().filter(|it| it.state == RunState::Running);
        if alive().next().is_none() || !alive().all(lasted) {
            return;
        }
        self.note(&format!("-- every container of {WITNESS} exits"));
        for one in alive() {
            self.engine.exit(one.slot, 137);
        }
    }

    fn requests_for_others(&mut self) {
        let replicas = self.engine.replicas();
        let others = replicas
            .iter()
            .filter(|it| !self.is_witness(it.service.as_str()) && it.state == RunState::Running);
        let others: Vec<&Observed> = others.collect();
        if let Some(one) = self.pick(&others) {
            self.note(&format!("-- {} on {} exits", one.id, one.slot));
            self.engine.exit(one.slot, 1);
        }
        self.traffic();
    }

    /// Something befalls one container, whatever it is in the middle of.
    fn on_one(&mut self, what: &str, state: RunState, befall: impl Fn(&FakeEngine, Slot)) {
        let replicas = self.engine.replicas();
        let those = replicas.iter().filter(|replica| replica.state == state);
        let those: Vec<&Observed> = those.collect();
        if let Some(one) = self.pick(&those) {
            self.note(&format!("-- {} on {} is {what}", one.id, one.slot));
            if let Some(known) = self.book.lock().replicas.get_mut(&one.id) {
                known.restarted |= what == "restarted";
                known.paused |= what == "paused";
            }
            befall(&self.engine, one.slot);
        }
    }

    async fn engine_away(&mut self, all_exit: bool) {
        self.note("-- the engine goes away");
        self.engine.reachable(false);
        if all_exit {
            self.note("-- every container exits");
            for replica in self.engine.replicas() {
                self.engine.exit(replica.slot, 137);
            }
        }
        let away = self.book.lock().rng.millis(50, 20_000);
        sleep(away).await;
        self.judge();
        self.note("-- the engine is back");
        self.engine.reachable(true);
    }

    async fn sicken(&mut self) {
        if self.below(5) == 0 {
            let host = 1 + self.below(2) as u8;
            self.note(&format!("-- 10.0.0.{host} is sick"));
            self.health.sick.lock().hosts.insert(host);
        }
        let replicas = self.engine.replicas();
        let Some(one) = self.pick(&replicas) else {
            return;
        };
        // One container, or every one made from its template.
        let whole = self.below(4) == 0;
        self.note(&format!("-- {} is sick, its template too: {whole}", one.id));
        {
            let mut sick = self.health.sick.lock();
            if whole {
                sick.templates.insert(one.spec.as_str().to_owned());
            } else {
                sick.replicas.insert(one.id);
            }
        }
        // Before the old health check found out, another one takes over.
        let service = self.services.get_mut(one.service.as_str());
        if let Some(service) = service
            && self.book.lock().rng.percent(30)
        {
            service.probe += 1;
            self.note("-- and is asked by another probe");
            self.configure().await;
        }
    }

    fn take_or_free_a_port(&mut self) {
        let first = self.pick(&FIRST_PORTS).expect("not empty");
        let slot = first + self.below(4) as Slot;
        let replicas = self.engine.replicas();
        let ours = replicas
            .iter()
            .any(|replica| replica.slot == slot && !replica.addresses.is_empty());
        if self.taken.remove(&slot) {
            self.note(&format!("-- port {slot} is free"));
            self.engine.free_port(slot);
            for (id, _) in self
                .engine
                .strangers()
                .into_iter()
                .filter(|it| it.1 == slot)
            {
                self.engine.end_stranger(&id);
                self.strangers -= 1;
            }
        } else if !ours {
            self.note(&format!("-- port {slot} is taken"));
            self.taken.insert(slot);
            self.engine.take_port(slot);
        }
    }

    /// By hand, and without waiting for what becomes of it.
    async fn deploy(&mut self) {
        let name = self.pick(&NAMES).expect("not empty");
        let image = (self.below(3) > 0).then(|| format!("{name}:{}", self.below(3)));
        self.note(&format!("-- deploy {name} {image:?}"));
        let handle = self.life.as_ref().expect("alive").handle.clone();
        tokio::spawn(async move { handle.deploy(name.to_owned(), image).await });
    }

    async fn drain(&mut self) {
        let replicas = self.engine.replicas();
        let Some(one) = self.pick(&replicas) else {
            return;
        };
        self.note(&format!("-- drain {} on {}", one.id, one.slot));
        let handle = self.life.as_ref().expect("alive").handle.clone();
        let _ = handle.drain(one.service.to_string(), one.slot).await;
    }

    fn traffic(&mut self) {
        let requests = self.below(90);
        let Some(name) = self.pick(&NAMES) else {
            return;
        };
        let Some(view) = self.snapshot().service(name).cloned() else {
            return;
        };
        self.note(&format!("-- {requests} requests for {name}"));
        (0..requests).for_each(|_| view.load.note(true));
        for replica in &view.ready {
            // As a request does whose connection was refused.
            if self.below(8) == 0 {
                replica.doubt.raise();
            }
        }
    }

    /// A request that stays for a while.
    fn hold(&mut self) {
        let Some(name) = self.pick(&NAMES) else {
            return;
        };
        let Some(view) = self.snapshot().service(name).cloned() else {
            return;
        };
        let longest = self.book.lock().rng.delay(60_000);
        view.load.note(false);
        for replica in &view.ready {
            if let Some(lease) = Lease::claim(replica) {
                if let Some(known) = self.book.lock().replicas.get_mut(&replica.id) {
                    known.held += 1;
                }
                let until = Instant::now() + longest;
                self.held.push((until, replica.id.clone(), lease));
            }
        }
    }

    fn release(&mut self, now: Instant) {
        let (over, held) = self
            .held
            .drain(..)
            .partition::<Vec<_>, _>(|(until, ..)| *until <= now);
        self.held = held;
        for (_, id, lease) in over {
            if let Some(known) = self.book.lock().replicas.get_mut(&id) {
                known.held = known.held.saturating_sub(1);
            }
            drop(lease);
        }
    }

    // === what is declared ===

    fn any_service(&mut self) -> Declared {
        let used: Vec<Slot> = self
            .services
            .values()
            .map(|service| service.first_port)
            .collect();
        let free: Vec<Slot> = FIRST_PORTS
            .into_iter()
            .filter(|port| !used.contains(port))
            .collect();
        let rng = &mut self.book.lock().rng;
        let sleeps = rng.percent(30);
        let min = if sleeps { 0 } else { 1 + rng.below(3) as u32 };
        let seconds = |rng: &mut super::rng::Rng, from: &[u64]| {
            Duration::from_secs(rng.pick(from).expect("not empty"))
        };
        Declared {
            image: rng.below(3),
            min,
            max: min.max(1) + rng.below(4) as u32,
            first_port: rng.pick(&free).expect("more than services"),
            grace: seconds(rng, &[1, 5, 10]),
            interval: seconds(rng, &[1, 1, 2]),
            retries: 1 + rng.below(3) as u32,
            start_period: seconds(rng, &[3, 10, 30]),
            update: Update {
                parallelism: 1 + rng.below(PARALLELISM_MAX as usize) as u32,
                order: match rng.below(4) {
                    0 => Order::StopFirst,
                    _ => Order::StartFirst,
                },
                delay: seconds(rng, &[0, 0, 2]),
                monitor: seconds(rng, &[1, 5]),
                failure_action: rng
                    .pick(&[
                        FailureAction::Rollback,
                        FailureAction::Pause,
                        FailureAction::Continue,
                    ])
                    .expect("not empty"),
                max_failure_ratio: if rng.percent(50) { 0.0 } else { 0.5 },
            },
            sleep: sleeps.then(|| SleepTerms {
                idle_timeout: seconds(rng, &[25, 40]),
                stop_after: seconds(rng, &[0, 10, 40]),
            }),
            spare: rng.pick(&[0, 0, 1]).expect("not empty"),
            fixed: false,
            probe: 0,
        }
    }

    async fn reload(&mut self) {
        let name = self.pick(&NAMES).expect("not empty");
        let other = self.any_service();
        let what = match self.services.get_mut(name) {
            None => {
                self.services.insert(name, other);
                "added"
            }
            Some(service) => match self.book.lock().rng.below(10) {
                0 | 1 => {
                    (service.min, service.max) = (other.min, other.max);
                    (service.sleep, service.spare) = (other.sleep, other.spare);
                    "other bounds"
                }
                2..=4 => {
                    service.image = other.image;
                    "another image"
                }
                5 => {
                    service.first_port = other.first_port;
                    "another first port"
                }
                6 => {
                    service.interval = other.interval;
                    service.retries = other.retries;
                    service.start_period = other.start_period;
                    service.grace = other.grace;
                    service.update = other.update;
                    "other timing"
                }
                7 => {
                    service.probe += 1;
                    "another probe"
                }
                8 => {
                    service.fixed = !service.fixed;
                    "image or addresses"
                }
                _ => {
                    self.services.remove(name);
                    "removed"
                }
            },
        };
        self.note(&format!("-- reload: {name}: {what}"));
        self.configure().await;
    }

    async fn configure(&mut self) {
        let managed: Vec<Managed> = self
            .services
            .iter()
            .map(|(name, service)| Managed {
                spec: Arc::new(service.spec(name)),
                probe: Arc::clone(&self.health.versions(service.probe)),
                scaler: Some(Arc::clone(&self.scaler)),
            })
            .collect();
        let config = managed
            .iter()
            .map(|managed| (managed.spec.name.clone(), Arc::clone(&managed.spec)))
            .collect();
        self.book.lock().configuring(config);
        self.book.lock().reloaded = true;
        let handle = self.life.as_ref().expect("alive").handle.clone();
        handle.reconfigure(managed, Images::Keep).await;
        self.book.lock().configured();
        self.judge();
    }

    // === lives of Tidegate ===

    async fn begin(&mut self) {
        if self.services.is_empty() {
            for name in NAMES {
                if self.below(4) > 0 || name == "a" {
                    let mut service = self.any_service();
                    if self.is_witness(name) {
                        service.sleep = None;
                        service.min = service.min.max(1);
                    }
                    self.note(&format!("{name}: {service:?}"));
                    self.services.insert(name, service);
                }
            }
        }
        self.book.lock().new_life();
        let life = self.book.lock().life;
        let (writer, reader) = store::store();
        let (over, is_over) = watch::channel(false);
        let client = Client {
            engine: self.engine.clone(),
            book: self.book.clone(),
            life,
            over: is_over.clone(),
        };
        let book = self.book.clone();
        let sink = Arc::new(move |event: &Event| book.lock().event(life, event));
        let (control, handle) = Control::new(Arc::new(client), writer, sink, STARTS_MAX);
        let control = control.generations_above((1 << 50) + u64::from(life) * 1_000_000);
        let looking = look(reader.clone(), self.book.clone(), life);
        let tasks = [tokio::spawn(control.run(is_over)), tokio::spawn(looking)];
        self.life = Some(Life {
            handle,
            reader,
            over,
            tasks,
        });
        self.configure().await;
        self.book.lock().reloaded = false;
    }

    /// kill -9, and a new one.
    async fn restart(&mut self) {
        let life = self.life.take().expect("alive");
        for task in life.tasks {
            task.abort();
            let _ = task.await;
        }
        life.over.send_replace(true);
        self.held.clear();
        self.served.clear();
        // Whatever changed in the configuration meanwhile.
        let pause = self.book.lock().rng.delay(5_000);
        sleep(pause).await;
        self.begin().await;
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.life.as_ref().expect("alive").reader.load())
    }

    // === promises ===

    /// Requests come at every step and are answered in turn.
    fn requests(&mut self) {
        self.release(Instant::now());
        for view in self.snapshot().services.values() {
            let slots: Vec<Slot> = view.ready.iter().map(|replica| replica.slot).collect();
            for _ in 0..slots.len() + 1 {
                let Some(at) = view.cursor.advance(slots.len(), |at| slots[at]) else {
                    continue;
                };
                let slot = slots[at];
                // A service that was gone and comes back begins anew.
                if let Some((cursor, last)) = self.served.get(&view.name)
                    && Arc::ptr_eq(cursor, &view.cursor)
                {
                    let next = slots.iter().find(|next| *next > last);
                    let next = *next.unwrap_or(&slots[0]);
                    self.promise(slot == next, || {
                        format!("{}: {slot} after {last} of {slots:?}", view.name)
                    });
                }
                let served = (Arc::clone(&view.cursor), slot);
                self.served.insert(view.name.clone(), served);
            }
        }
    }

    fn judge(&mut self) {
        let mut book = self.book.lock();
        if let Some(life) = &self.life {
            book.judge(&life.reader.load());
        }
        let mut staying: BTreeMap<ServiceName, usize> = BTreeMap::new();
        for replica in self.engine.replicas() {
            if replica.state == RunState::Running && book.stays(&replica.id) {
                *staying.entry(replica.service).or_default() += 1;
            }
        }
        for (service, staying) in staying {
            book.judge_count(&service, staying);
        }
    }

    /// The faults cease; everything comes to be as it was declared, and then nothing happens.
    async fn heal(&mut self) {
        self.calm();
        let began = Instant::now();
        loop {
            sleep(Duration::from_secs(1)).await;
            self.release(Instant::now());
            self.requests();
            self.judge();
            if self.book.lock().broken.is_some() {
                return;
            }
            let Err(missing) = self.is_healed() else {
                // Once more after a while: what was right must stay so.
                if self.is_quiet().await {
                    break;
                }
                continue;
            };
            if began.elapsed() > HEALED_WITHIN {
                let why: Vec<String> = self
                    .snapshot()
                    .services
                    .values()
                    .map(|view| format!("{}: {}", view.name, view.because.join("; ")))
                    .collect();
                return self.promise(false, || format!("not healed: {missing} ({why:?})"));
            }
        }
        self.note("-- healed");
    }

    /// Whoever sleeps wakes at the first request.
    async fn wake_all(&mut self) {
        if self.book.lock().broken.is_some() {
            return;
        }
        // Failures from before it fell asleep are forgotten.
        sleep(LONGEST_BACK_OFF).await;
        for (name, service) in self.services.clone() {
            if service.sleep.is_none() || service.fixed {
                continue;
            }
            let view = self.snapshot().service(name).cloned().expect("declared");
            self.promise(view.asleep && view.coming, || {
                format!("{name} is not asked for and does not sleep, or cannot be woken")
            });
            self.note(&format!("-- a request wakes {name}"));
            view.load.note(true);
            let mut reader = self.life.as_ref().expect("alive").reader.clone();
            let wakes = async {
                while reader
                    .load()
                    .service(name)
                    .is_none_or(|it| it.ready.is_empty())
                {
                    let _ = reader.changed().await;
                }
            };
            let woke = tokio::time::timeout(WOKEN_WITHIN, wakes).await;
            self.promise(woke.is_ok(), || format!("{name} does not wake"));
        }
    }

    fn calm(&mut self) {
        self.note("-- all faults cease");
        {
            let mut book = self.book.lock();
            book.slow = false;
            book.hanging.clear();
            book.stuck.clear();
        }
        self.health.sick.lock().clear();
        self.engine.reachable(true);
    }

    async fn is_quiet(&mut self) -> bool {
        let counts = |stage: &Stage| {
            let book = stage.book.lock();
            (book.actions, book.observations, book.publications_total)
        };
        let (actions, observations, publications) = counts(self);
        // The last holders of requests, and the scaler's last interval.
        let settling = self.held.iter().any(|_| true);
        sleep(QUIET_FOR).await;
        self.release(Instant::now());
        let after = counts(self);
        let healed = self.is_healed();
        if after.0 != actions || healed.is_err() || settling {
            self.note(&format!("-- not quiet yet: {healed:?}"));
            return false;
        }
        let seconds = QUIET_FOR.as_secs();
        self.promise(after.1 - observations <= seconds / 5 + 2, || {
            format!("{} listings while nothing happens", after.1 - observations)
        });
        self.promise(after.2 - publications <= seconds * 3, || {
            format!("{} snapshots while nothing happens", after.2 - publications)
        });
        true
    }

    fn is_healed(&self) -> Result<(), String> {
        let snapshot = self.snapshot();
        let names: Vec<&str> = snapshot.services.keys().map(ServiceName::as_str).collect();
        let declared: Vec<&str> = self.services.keys().copied().collect();
        if names != declared {
            return Err(format!("services are {names:?}, declared {declared:?}"));
        }
        let replicas = self.engine.replicas();
        for (name, service) in &self.services {
            let view = snapshot.service(name).expect("just seen");
            let there: Vec<&Observed> = replicas
                .iter()
                .filter(|replica| replica.service.as_str() == *name)
                .collect();
            self.is_as_declared(name, service, view, &there)
                .map_err(|why| format!("{name}: {why}"))?;
        }
        // An engine that no service needs is not spoken to, whatever an earlier life left there.
        let needed = self.services.values().any(|service| !service.fixed);
        let strays: Vec<&Observed> = replicas
            .iter()
            .filter(|replica| {
                let service = self.services.get(replica.service.as_str());
                needed && service.is_none_or(|service| service.fixed)
            })
            .collect();
        if !strays.is_empty() {
            return Err(format!("left behind: {strays:?}"));
        }
        let mut views = snapshot.services.values();
        let is_pulled =
            |view: &&Arc<ServiceView>| view.because.iter().any(|it| it.starts_with("pulling "));
        if let Some(view) = views.find(is_pulled) {
            return Err(format!("{}: {:?}", view.name, view.because));
        }
        let open = self.book.lock().open_starts();
        match open.is_empty() {
            true => Ok(()),
            false => Err(format!("starts without an outcome: {open:?}")),
        }
    }

    fn is_as_declared(
        &self,
        name: &'static str,
        service: &Declared,
        view: &ServiceView,
        there: &[&Observed],
    ) -> Result<(), String> {
        let spec = service.spec(name);
        let slots: Vec<Slot> = view.ready.iter().map(|replica| replica.slot).collect();
        let Some(template) = spec.template() else {
            return match (slots.len(), view.replicas.len()) {
                (2, 2) => Ok(()),
                counts => Err(format!("ready and known: {counts:?}")),
            };
        };
        let ids = |ids: &mut dyn Iterator<Item = &ReplicaId>| -> BTreeSet<ReplicaId> {
            ids.cloned().collect()
        };
        let real = ids(&mut there.iter().map(|replica| &replica.id));
        let known = ids(&mut view.replicas.iter().map(|replica| &replica.id));
        let ready = ids(&mut view.ready.iter().map(|replica| &replica.id));
        // What sleeps is paused, or gone.
        let awake = match view.asleep {
            true => ids(&mut there
                .iter()
                .filter(|it| it.state != RunState::Paused)
                .map(|it| &it.id)),
            false => known.clone(),
        };
        if real != known || awake != ready || slots.len() as u32 != view.desired {
            return Err(format!(
                "{real:?} exist, {known:?} are known, {ready:?} ready, {} wanted",
                view.desired
            ));
        }
        // Ports that were somebody else's may be skipped still, others may not.
        let skipped = |slot: &Slot| {
            !slots.contains(slot)
                && !self.book.lock().taken.contains(slot)
                && !self.taken.contains(slot)
        };
        let last = slots.last().copied().unwrap_or(template.first_port);
        let out_of_place = (template.first_port..last).find(skipped);
        if out_of_place.is_some()
            || slots
                .first()
                .is_some_and(|slot| *slot < template.first_port)
        {
            return Err(format!("on {slots:?}, skipped {out_of_place:?}"));
        }
        let hash: SpecHash = template.hash();
        // What went back, or was told to stay, stays so, also after a restart.
        let newest = there.iter().max_by_key(|replica| replica.generation);
        let made = newest.and_then(|newest| newest.made.as_ref());
        let settled = view.rollout.as_ref().map(|rollout| rollout.stage);
        let gave_up = matches!(settled, Some(RolloutStage::WentBack | RolloutStage::Paused))
            || made.is_some_and(|made| {
                let made_from = serde_json::from_str(&made.template).expect("a template");
                made.declared == hash || Version::of(made_from).is_named_like(template)
            });
        let is_wrong = |replica: &&&Observed| replica.spec != hash && !gave_up;
        if let Some(wrong) = there
            .iter()
            .find(|replica| is_wrong(replica) || replica.state != RunState::Running && !view.asleep)
        {
            return Err(format!("wrong: {wrong:?}"));
        }
        // Without requests for two intervals, the fewest.
        let fewest = match service.sleep {
            Some(_) => 0,
            None => (service.min + service.spare).min(service.max),
        };
        if (view.load.counted() > 0 || fewest == 0) && view.desired != fewest {
            return Err(format!("{} wanted after {INTERVAL:?} idle", view.desired));
        }
        Ok(())
    }

    /// Everything goes, and is gone.
    async fn leave(&mut self) {
        if self.book.lock().broken.is_some() {
            return;
        }
        self.note("-- everything is removed");
        let began = Instant::now();
        let needed = self.services.values().any(|service| !service.fixed);
        if self.book.lock().rng.percent(50) {
            self.book.lock().configuring(BTreeMap::new());
            let life = self.life.as_ref().expect("alive");
            let removal = life.handle.remove_all();
            if tokio::time::timeout(GONE_WITHIN, removal).await.is_err() {
                return self.promise(false, || "remove_all does not end".to_owned());
            }
        } else {
            // A configuration without containers is not looked after, so this life must have seen
            // once what earlier ones left.
            sleep(QUIET_FOR).await;
            self.services.clear();
            self.configure().await;
            sleep(GONE_WITHIN).await;
        }
        let strangers = self.engine.strangers().len();
        self.promise(strangers == self.strangers, || {
            format!("{strangers} of {} strangers are left", self.strangers)
        });
        let mut left = self.engine.replicas();
        // Calls of an earlier life may come through when nobody looks any more.
        left.retain(|replica| {
            let known = self.book.lock().replicas[&replica.id].clone();
            needed && (known.life == self.book.lock().life || known.made < began)
        });
        self.promise(left.is_empty(), || format!("left behind: {left:?}"));
    }
}

/// As many kinds as `fault` tells apart, in a life without a witness.
const FAULTS: usize = 28;
/// The kinds that happen in every good life.
const PLANNED: std::ops::Range<usize> = 12..24;
/// The kinds that may not be felt by a service that they do not happen to.
const WITNESSED: std::ops::Range<usize> = 24..30;
const WITNESS: &str = "a";
/// Longer than what counts as a crash loop.
const LASTED: Duration = Duration::from_secs(6);
/// Images up to this one are on the machine.
const PULLED: usize = 100;

async fn look(mut reader: Reader, book: Shared, life: u32) {
    while reader.changed().await.is_ok() {
        let snapshot = Arc::clone(&reader.load());
        book.lock().published(life, &snapshot);
    }
}

fn requests_scaler() -> Arc<dyn Scaler> {
    let (_writer, reader) = store::store();
    let mut hooks = Hooks::new(reader);
    let registry: Registry = tidegate::plugins::standard();
    let values = format!("{{ interval: {}s }}", INTERVAL.as_secs());
    let values = serde_yaml::from_str(&values).expect("yaml");
    registry
        .install("requests", values, &mut hooks)
        .expect("in the box");
    hooks.finish().scaler.expect("a scaler")
}

impl Declared {
    fn spec(&self, name: &str) -> Spec {
        let source = if self.fixed {
            let addresses = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 80)));
            Source::Addresses(addresses.to_vec())
        } else {
            Source::Container(Template {
                image: format!("{name}:{}", self.image),
                image_id: None,
                port: 80,
                first_port: self.first_port,
                command: None,
                entrypoint: None,
                environment: Default::default(),
                volumes: Vec::new(),
                networks: Vec::new(),
                user: None,
                secrets: Default::default(),
                nano_cpus: None,
                memory_bytes: None,
            })
        };
        let second = Duration::from_secs(1);
        Spec {
            name: ServiceName::new(name),
            source,
            routes: Vec::new(),
            health: HealthTiming {
                interval: self.interval,
                timeout: second,
                retries: self.retries,
                start_period: self.start_period,
            },
            bounds: Bounds {
                min: self.min,
                max: self.max,
            },
            sleep: self.sleep.filter(|_| !self.fixed),
            spare: self.spare,
            stop_grace_period: self.grace,
            update: self.update.clone(),
            pull: Pull::Missing,
            alias: None,
            declared: None,
            manual: None,
            wanted: None,
            forward: Forward::default(),
        }
    }
}

// === health ===

#[derive(Default)]
struct Sick(std::sync::Mutex<Ailing>);

#[derive(Default)]
struct Ailing {
    replicas: BTreeSet<ReplicaId>,
    templates: BTreeSet<String>,
    hosts: BTreeSet<u8>,
    versions: BTreeMap<u32, Arc<dyn Probe>>,
}

impl Sick {
    fn lock(&self) -> std::sync::MutexGuard<'_, Ailing> {
        self.0.lock().expect("no panic")
    }
}

impl Ailing {
    fn clear(&mut self) {
        self.replicas.clear();
        self.templates.clear();
        self.hosts.clear();
    }
}

/// Healthy when the container runs and is not called sick; sometimes slow, sometimes too slow.
#[derive(Clone)]
struct SimProbe {
    engine: FakeEngine,
    book: Shared,
    sick: Arc<Sick>,
}

impl SimProbe {
    async fn answer(&self, address: SocketAddr) -> Result<(), String> {
        let sick = || Err("answered 500".to_owned());
        if let IpAddr::V4(ip) = address.ip()
            && let [10, .., host] = ip.octets()
        {
            let is_sick = self.sick.lock().hosts.contains(&host);
            return if is_sick { sick() } else { Ok(()) };
        }
        let replicas = self.engine.replicas();
        let mut found = replicas.iter();
        let Some(found) = found.find(|replica| replica.addresses.contains(&address)) else {
            return Err("connection refused".to_owned());
        };
        if found.state == RunState::Paused {
            return std::future::pending().await;
        }
        let ailing = self.sick.lock();
        if ailing.replicas.contains(&found.id) || ailing.templates.contains(found.spec.as_str()) {
            return sick();
        }
        Ok(())
    }

    /// The same probe for the same number: a reload compares them.
    fn versions(&self, version: u32) -> Arc<dyn Probe> {
        let probe = || Arc::new(self.clone()) as Arc<dyn Probe>;
        let mut sick = self.sick.lock();
        Arc::clone(sick.versions.entry(version).or_insert_with(probe))
    }
}

#[async_trait]
impl Probe for SimProbe {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        let slow = {
            let mut book = self.book.lock();
            let failing = book.failing;
            let (slow, rng) = book.chance();
            let slow = slow && failing && rng.percent(2);
            slow.then(|| rng.millis(1, 1_200))
        };
        if let Some(slow) = slow {
            tokio::time::sleep(slow).await;
        }
        self.answer(address).await?;
        // Whoever it is that listens there now.
        let mut book = self.book.lock();
        book.well.insert(address, Instant::now());
        Ok(())
    }
}
