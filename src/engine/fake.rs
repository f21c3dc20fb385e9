//! An engine without effects, for tests: it does what its script says, on tokio's clock, the
//! same way every time.
//!
//! Clones share one world: the test holds one and turns the screws, the control loop another.

use super::{Engine, EngineError, ErrorKind};
use crate::service::replica::{Made, Observed, ReplicaId, RunState, Vouched};
use crate::service::spec::{ImageId, Pull, ServiceName, Slot, Spec};
use crate::service::time::Human;
use crate::service::usage::Usage;
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// A call that hangs is given up after this.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// What each replica may have.
const FAKE_MEMORY_BYTES: u64 = 1 << 30;

#[derive(Clone)]
pub struct FakeEngine {
    world: Arc<Mutex<World>>,
    changed: watch::Sender<()>,
    born: Instant,
}

/// What the engine was told, and when, counted from its making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: Duration,
    pub what: Asked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Observe,
    Start {
        service: ServiceName,
        slot: Slot,
        generation: u64,
    },
    Pause {
        id: ReplicaId,
    },
    Resume {
        id: ReplicaId,
    },
    Stop {
        id: ReplicaId,
        grace: Duration,
    },
}

#[derive(Default)]
struct World {
    replicas: Vec<Observed>,
    made: u64,
    restarts: u8,
    calls: Vec<Call>,
    start_times: HashMap<ServiceName, Duration>,
    slot_start_times: HashMap<Slot, Duration>,
    stop_time: Duration,
    observe_time: Duration,
    failures: VecDeque<ErrorKind>,
    stop_failures: usize,
    pause_time: Duration,
    pause_failures: usize,
    taken_ports: BTreeSet<Slot>,
    /// Containers that carry our labels and are not ours; they show in no listing.
    strangers: BTreeMap<ReplicaId, Slot>,
    unreachable: bool,
    /// What names of images stand for; any other stands for itself.
    images: HashMap<String, ImageId>,
    missing_images: BTreeSet<String>,
    /// How long images take that are not on this machine.
    pull_times: HashMap<String, Duration>,
    /// When those that are being pulled will be there.
    pulls: HashMap<String, Instant>,
    starts_hang: BTreeSet<ServiceName>,
    stops_hang: BTreeSet<Slot>,
    stops_fail: BTreeSet<Slot>,
    loads: HashMap<Slot, Load>,
}

/// What the replica in a slot uses.
#[derive(Clone, Copy, Default)]
struct Load {
    millicores: u32,
    memory_bytes: u64,
    since: Duration,
    /// Processor time until then.
    before: Duration,
}

impl Load {
    fn cpu(&self, now: Duration) -> Duration {
        self.before + (now - self.since) * self.millicores / 1000
    }
}

impl Default for FakeEngine {
    fn default() -> Self {
        FakeEngine {
            world: Arc::default(),
            changed: watch::Sender::new(()),
            born: Instant::now(),
        }
    }
}

impl FakeEngine {
    /// Starts and stops at once, and nothing fails.
    pub fn new() -> Self {
        FakeEngine::default()
    }

    /// How long each start of this service takes.
    pub fn start_time(&self, service: &str, time: Duration) {
        let service = ServiceName::new(service);
        self.world().start_times.insert(service, time);
    }

    /// How long a start in this slot takes, whatever the service.
    pub fn slot_start_time(&self, slot: Slot, time: Duration) {
        self.world().slot_start_times.insert(slot, time);
    }

    /// How long a replica takes to end when asked; longer than the grace: until killed.
    pub fn stop_time(&self, time: Duration) {
        self.world().stop_time = time;
    }

    /// How old a picture is when `observe` hands it out.
    pub fn observe_time(&self, time: Duration) {
        self.world().observe_time = time;
    }

    /// The next `count` starts take their time and then fail.
    pub fn fail_starts(&self, count: usize, kind: ErrorKind) {
        let failures = std::iter::repeat_n(kind, count);
        self.world().failures.extend(failures);
    }

    /// The next `count` stops take their time and then fail.
    pub fn fail_stops(&self, count: usize) {
        self.world().stop_failures += count;
    }

    /// How long it takes to pause a replica, or to let it run again.
    pub fn pause_time(&self, time: Duration) {
        self.world().pause_time = time;
    }

    /// The next `count` pauses, or ends of one, take their time and then fail.
    pub fn fail_pauses(&self, count: usize) {
        self.world().pause_failures += count;
    }

    /// From now on the name stands for this content.
    pub fn tag(&self, image: &str, id: &str) {
        let id = ImageId(id.to_owned());
        self.world().images.insert(image.to_owned(), id);
    }

    /// There is no such image, here or in a registry.
    pub fn miss_image(&self, image: &str) {
        self.world().missing_images.insert(image.to_owned());
    }

    /// The image is not on this machine; pulling it takes so long.
    pub fn pull_time(&self, image: &str, time: Duration) {
        self.world().pull_times.insert(image.to_owned(), time);
    }

    /// Whether starts of this service that begin from now on never return.
    pub fn hang_starts(&self, service: &str, hang: bool) {
        let service = ServiceName::new(service);
        let mut world = self.world();
        match hang {
            true => world.starts_hang.insert(service),
            false => world.starts_hang.remove(&service),
        };
    }

    /// Whether removals from this slot never return.
    pub fn hang_stops(&self, slot: Slot, hang: bool) {
        let mut world = self.world();
        match hang {
            true => world.stops_hang.insert(slot),
            false => world.stops_hang.remove(&slot),
        };
    }

    /// Whether removals from this slot fail.
    pub fn break_stops(&self, slot: Slot, broken: bool) {
        let mut world = self.world();
        match broken {
            true => world.stops_fail.insert(slot),
            false => world.stops_fail.remove(&slot),
        };
    }

    /// From now on the replica in this slot uses so much.
    pub fn load(&self, slot: Slot, millicores: u32, memory_bytes: u64) {
        let since = self.born.elapsed();
        let mut world = self.world();
        let load = world.loads.entry(slot).or_default();
        *load = Load {
            millicores,
            memory_bytes,
            since,
            before: load.cpu(since),
        };
    }

    /// Somebody else listens on this slot's port.
    pub fn take_port(&self, slot: Slot) {
        self.world().taken_ports.insert(slot);
    }

    pub fn free_port(&self, slot: Slot) {
        self.world().taken_ports.remove(&slot);
    }

    /// Somebody runs a container with our labels on this slot's port.
    pub fn run_stranger(&self, slot: Slot) -> ReplicaId {
        let mut world = self.world();
        world.made += 1;
        let id = ReplicaId::new(format!("strange-{}", world.made));
        world.strangers.insert(id.clone(), slot);
        drop(world);
        self.announce();
        id
    }

    /// Those that still run, and nobody but the test ends them.
    pub fn strangers(&self) -> Vec<(ReplicaId, Slot)> {
        let world = self.world();
        let strangers = world.strangers.iter();
        strangers.map(|(id, slot)| (id.clone(), *slot)).collect()
    }

    pub fn end_stranger(&self, id: &ReplicaId) {
        self.world().strangers.remove(id);
        self.announce();
    }

    /// Every call fails until it is reachable again; replicas live on meanwhile.
    pub fn reachable(&self, reachable: bool) {
        self.world().unreachable = !reachable;
        if reachable {
            self.announce();
        }
    }

    /// The live replica in this slot ends by itself, and loses its addresses with that.
    pub fn exit(&self, slot: Slot, code: i64) {
        self.set_state(slot, RunState::Exited { code: Some(code) });
    }

    /// Somebody stops the replicas in this slot and starts them again: other addresses.
    pub fn restart(&self, slot: Slot) {
        let mut world = self.world();
        world.restarts = world.restarts % 250 + 1;
        let ip = Ipv4Addr::new(127, 0, 1, world.restarts);
        let replicas = world.replicas.iter_mut();
        for replica in replicas.filter(|replica| replica.slot == slot && is_live(replica)) {
            replica.state = RunState::Running;
            replica.addresses = vec![SocketAddr::from((ip, slot))];
        }
        drop(world);
        self.announce();
    }

    /// Somebody removes the replicas in this slot.
    pub fn remove(&self, slot: Slot) {
        self.world().replicas.retain(|replica| replica.slot != slot);
        self.announce();
    }

    /// The live replica in this slot is frozen.
    pub fn pause(&self, slot: Slot) {
        self.set_state(slot, RunState::Paused);
    }

    pub fn unpause(&self, slot: Slot) {
        self.set_state(slot, RunState::Running);
    }

    /// A replica that was there before, as after a restart of Tidegate.
    pub fn insert(&self, replica: Observed) {
        self.world().replicas.push(replica);
        self.announce();
    }

    /// What is there, whether or not the engine can be reached; in the order it was made.
    pub fn replicas(&self) -> Vec<Observed> {
        self.world().replicas.clone()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
    }

    // === halves of a start and of a stop, for tests that look in between ===

    /// Makes a replica that does not run yet.
    pub fn create(
        &self,
        spec: &Spec,
        slot: Slot,
        generation: u64,
    ) -> Result<ReplicaId, EngineError> {
        const OP: &str = "create the replica";
        let Some(version) = spec.version() else {
            return Err(error(ErrorKind::Failed, OP, "the service has no image"));
        };
        let mut world = self.reach(OP)?;
        let pinned = version.template.image_id.clone();
        if pinned.is_none() && world.pull_times.contains_key(&version.template.image) {
            let message = format!("image `{}` is not on this machine", version.template.image);
            return Err(error(ErrorKind::Failed, OP, &message));
        }
        let image = match pinned {
            Some(pinned) => pinned,
            None => world.image(OP, &version.template.image)?,
        };
        world.made += 1;
        let id = ReplicaId::new(format!("fake-{}", world.made));
        world.replicas.push(Observed {
            service: spec.name.clone(),
            id: id.clone(),
            slot,
            generation,
            made: Some(Made {
                declared: spec.declared().unwrap_or_else(|| version.hash.clone()),
                template: version.template.to_label().into(),
                manual: version.manual.clone(),
                wanted: spec.wanted,
                vouched: Vouched::Sealed,
            }),
            spec: version.hash,
            image: Some(image),
            state: RunState::Created,
            addresses: Vec::new(),
        });
        Ok(id)
    }

    /// Lets a replica that was created run, if its port is free.
    pub fn launch(&self, id: &ReplicaId) -> Result<(), EngineError> {
        const OP: &str = "start the replica";
        let mut world = self.reach(OP)?;
        let found = world.replicas.iter().position(|replica| replica.id == *id);
        let Some(found) = found else {
            return Err(error(ErrorKind::Failed, OP, "it was removed"));
        };
        let slot = world.replicas[found].slot;
        let mut replicas = world.replicas.iter();
        let ours = replicas.any(|other| other.slot == slot && is_live(other));
        let strange = world.strangers.values().any(|other| *other == slot);
        if ours || strange || world.taken_ports.contains(&slot) {
            let message = format!("port {slot} is already allocated");
            return Err(error(ErrorKind::PortTaken, OP, &message));
        }
        let replica = &mut world.replicas[found];
        replica.state = RunState::Running;
        replica.addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, slot))];
        drop(world);
        self.announce();
        Ok(())
    }

    /// The replica's process ends; it is still listed.
    pub fn end(&self, id: &ReplicaId) -> Result<(), EngineError> {
        let mut world = self.reach("end the replica")?;
        let mut replicas = world.replicas.iter_mut();
        if let Some(replica) = replicas.find(|replica| replica.id == *id && is_live(replica)) {
            replica.state = RunState::Exited { code: Some(0) };
            replica.addresses.clear();
        }
        drop(world);
        self.announce();
        Ok(())
    }

    /// The replica is listed no more.
    pub fn discard(&self, id: &ReplicaId) {
        self.world().replicas.retain(|replica| replica.id != *id);
        self.announce();
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        if !self.world().unreachable {
            self.changed.send_replace(());
        }
    }

    fn set_state(&self, slot: Slot, state: RunState) {
        let mut world = self.world();
        let replicas = world.replicas.iter_mut();
        for replica in replicas.filter(|replica| replica.slot == slot && is_live(replica)) {
            replica.state = state.clone();
            if !is_live(replica) {
                replica.addresses.clear();
            }
        }
        drop(world);
        self.announce();
    }

    /// Notes the call; the answer is the world, if it can be reached.
    fn asked(&self, op: &'static str, what: Asked) -> Result<MutexGuard<'_, World>, EngineError> {
        let at = self.born.elapsed();
        self.world().calls.push(Call { at, what });
        self.reach(op)
    }

    fn reach(&self, op: &'static str) -> Result<MutexGuard<'_, World>, EngineError> {
        let world = self.world();
        match world.unreachable {
            true => Err(error(ErrorKind::Unreachable, op, "the script says so")),
            false => Ok(world),
        }
    }
}

impl FakeEngine {
    async fn freeze(
        &self,
        op: &'static str,
        asked: Asked,
        id: &ReplicaId,
        state: RunState,
    ) -> Result<(), EngineError> {
        let time = self.asked(op, asked)?.pause_time;
        wait(time).await;
        let mut world = self.reach(op)?;
        if let Some(left) = world.pause_failures.checked_sub(1) {
            world.pause_failures = left;
            return Err(error(ErrorKind::Failed, op, "the script says so"));
        }
        let mut replicas = world.replicas.iter_mut();
        let Some(replica) = replicas.find(|replica| replica.id == *id && is_live(replica)) else {
            return Err(error(ErrorKind::Failed, op, "it does not run"));
        };
        replica.state = state;
        drop(world);
        self.announce();
        Ok(())
    }
}

impl World {
    fn image(&self, op: &'static str, name: &str) -> Result<ImageId, EngineError> {
        if self.missing_images.contains(name) {
            let message = format!("image `{name}` cannot be pulled");
            return Err(error(ErrorKind::Failed, op, &message));
        }
        let known = self.images.get(name).cloned();
        Ok(known.unwrap_or_else(|| ImageId(format!("sha256:{name}"))))
    }
}

/// Whether it holds its port.
fn is_live(replica: &Observed) -> bool {
    matches!(replica.state, RunState::Running | RunState::Paused)
}

fn error(kind: ErrorKind, op: &'static str, message: &str) -> EngineError {
    EngineError {
        kind,
        op,
        message: message.to_owned(),
    }
}

fn timed_out(op: &'static str, limit: Duration) -> EngineError {
    let message = format!("no answer within {}", Human(limit));
    error(ErrorKind::Failed, op, &message)
}

#[async_trait]
impl Engine for FakeEngine {
    async fn observe(&self) -> Result<Vec<Observed>, EngineError> {
        const OP: &str = "list the replicas";
        let (time, picture) = {
            let world = self.asked(OP, Asked::Observe)?;
            (world.observe_time, world.replicas.clone())
        };
        wait(time).await;
        self.reach(OP).map(|_| picture)
    }

    async fn fetch_image(&self, spec: &Spec) -> Result<(), EngineError> {
        const OP: &str = "find the image";
        let Some(template) = spec.template().filter(|it| it.image_id.is_none()) else {
            return self.reach(OP).map(drop);
        };
        let image = template.image.as_str();
        let there_at = {
            let mut world = self.reach(OP)?;
            let takes = world.pull_times.get(image).copied().unwrap_or_default();
            let there_at = Instant::now() + takes;
            *world.pulls.entry(image.to_owned()).or_insert(there_at)
        };
        wait(there_at.saturating_duration_since(Instant::now())).await;
        self.world().pulls.remove(image);
        let mut world = self.reach(OP)?;
        world.image(OP, image)?;
        world.pull_times.remove(image);
        Ok(())
    }

    async fn start(
        &self,
        spec: &Spec,
        slot: Slot,
        generation: u64,
    ) -> Result<ReplicaId, EngineError> {
        const OP: &str = "start the replica";
        let asked = Asked::Start {
            service: spec.name.clone(),
            slot,
            generation,
        };
        let hangs = self.asked(OP, asked)?.starts_hang.contains(&spec.name);
        if hangs {
            wait(START_LIMIT).await;
            return Err(timed_out(OP, START_LIMIT));
        }
        let (time, failure) = {
            let mut world = self.world();
            let by_slot = world.slot_start_times.get(&slot).copied();
            let by_service = world.start_times.get(&spec.name).copied();
            let time = by_slot.or(by_service).unwrap_or_default();
            (time, world.failures.pop_front())
        };
        wait(time).await;
        if let Some(kind) = failure {
            drop(self.reach(OP)?);
            return Err(error(kind, OP, "the script says so"));
        }
        let id = self.create(spec, slot, generation)?;
        match self.launch(&id) {
            Ok(()) => Ok(id),
            Err(error) => {
                self.discard(&id);
                Err(error)
            }
        }
    }

    async fn resolve(&self, image: &str, _pull: Pull) -> Result<ImageId, EngineError> {
        const OP: &str = "find the image";
        self.reach(OP)?.image(OP, image)
    }

    async fn last_words(&self, id: &ReplicaId) -> Vec<String> {
        vec![format!("{id} says farewell")]
    }

    async fn usage(&self, id: &ReplicaId) -> Result<Usage, EngineError> {
        const OP: &str = "measure the replica";
        let now = self.born.elapsed();
        let world = self.reach(OP)?;
        let mut replicas = world.replicas.iter();
        let replica = replicas.find(|replica| replica.id == *id && is_live(replica));
        let load = replica.and_then(|replica| world.loads.get(&replica.slot));
        let load = load.ok_or_else(|| error(ErrorKind::Failed, OP, "nobody knows"))?;
        Ok(Usage {
            taken: now,
            cpu: load.cpu(now),
            memory_bytes: load.memory_bytes,
            memory_limit_bytes: FAKE_MEMORY_BYTES,
        })
    }

    async fn pause(&self, id: &ReplicaId) -> Result<(), EngineError> {
        const OP: &str = "pause the replica";
        let asked = Asked::Pause { id: id.clone() };
        self.freeze(OP, asked, id, RunState::Paused).await
    }

    async fn resume(&self, id: &ReplicaId) -> Result<(), EngineError> {
        const OP: &str = "resume the replica";
        let asked = Asked::Resume { id: id.clone() };
        self.freeze(OP, asked, id, RunState::Running).await
    }

    async fn stop(&self, id: &ReplicaId, grace: Duration) -> Result<(), EngineError> {
        const OP: &str = "stop the replica";
        let asked = Asked::Stop {
            id: id.clone(),
            grace,
        };
        let (time, hangs, fails) = {
            let world = self.asked(OP, asked)?;
            let mut replicas = world.replicas.iter();
            let slot = replicas.find(|replica| replica.id == *id).map(|it| it.slot);
            let in_slot = |slots: &BTreeSet<Slot>| slot.is_some_and(|slot| slots.contains(&slot));
            let mut replicas = world.replicas.iter();
            let runs = replicas.any(|replica| replica.id == *id && is_live(replica));
            let time = if runs {
                world.stop_time.min(grace)
            } else {
                Duration::ZERO
            };
            (time, in_slot(&world.stops_hang), in_slot(&world.stops_fail))
        };
        wait(time).await;
        if hangs {
            wait(STOP_LIMIT).await;
            return Err(timed_out(OP, STOP_LIMIT));
        }
        let mut world = self.reach(OP)?;
        if fails {
            drop(world);
            self.end(id)?;
            return Err(error(ErrorKind::Failed, OP, "device or resource busy"));
        }
        if let Some(left) = world.stop_failures.checked_sub(1) {
            world.stop_failures = left;
            return Err(error(ErrorKind::Failed, OP, "the script says so"));
        }
        world.strangers.remove(id);
        drop(world);
        self.discard(id);
        Ok(())
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        stream::unfold(self.changed.subscribe(), |mut changed| async move {
            match changed.changed().await {
                Ok(()) => Some(((), changed)),
                // Nobody is left who could change anything.
                Err(_) => std::future::pending().await,
            }
        })
        .boxed()
    }
}

/// Tokio's clock has a grain of a millisecond: even a sleep of nothing would take one.
async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing;
    use futures_util::FutureExt;

    const SECOND: Duration = Duration::from_secs(1);

    fn slots(engine: &FakeEngine) -> Vec<(Slot, RunState)> {
        let replicas = engine.replicas();
        replicas.into_iter().map(|r| (r.slot, r.state)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_takes_its_time_and_shows_only_when_done() {
        let engine = FakeEngine::new();
        engine.start_time("web", 3 * SECOND);
        engine.slot_start_time(8001, SECOND);
        let web = testing::containers("web");
        let began = Instant::now();
        let (first, second) = tokio::join!(engine.start(&web, 8000, 1), async {
            let id = engine.start(&web, 8001, 2).await;
            assert_eq!(began.elapsed(), SECOND);
            assert_eq!(slots(&engine), [(8001, RunState::Running)]);
            id
        });
        assert_eq!(began.elapsed(), 3 * SECOND);
        assert_eq!(second.unwrap().to_string(), "fake-1");
        assert_eq!(first.unwrap().to_string(), "fake-2");
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_is_given_up_leaves_nothing() {
        let engine = FakeEngine::new();
        engine.start_time("web", 3 * SECOND);
        let web = testing::containers("web");
        let start = engine.start(&web, 8000, 1);
        assert!(tokio::time::timeout(SECOND, start).await.is_err());
        sleep(5 * SECOND).await;
        assert_eq!(slots(&engine), []);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_come_in_the_order_of_the_script() {
        let engine = FakeEngine::new();
        let web = testing::containers("web");
        engine.fail_starts(1, ErrorKind::Failed);
        engine.take_port(8000);
        let kind = async |slot| engine.start(&web, slot, 1).await.map_err(|e| e.kind);
        assert_eq!(kind(8001).await, Err(ErrorKind::Failed));
        assert_eq!(kind(8000).await, Err(ErrorKind::PortTaken));
        assert!(kind(8001).await.is_ok());
        assert_eq!(kind(8001).await, Err(ErrorKind::PortTaken));
        engine.free_port(8000);
        assert!(kind(8000).await.is_ok());
        engine.reachable(false);
        assert_eq!(kind(8002).await, Err(ErrorKind::Unreachable));
        assert_eq!(engine.replicas().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_replica_stays_until_removed_and_frees_its_port() {
        let engine = FakeEngine::new();
        let web = testing::containers("web");
        let id = engine.start(&web, 8000, 1).await.unwrap();
        engine.exit(8000, 137);
        let exited = RunState::Exited { code: Some(137) };
        assert_eq!(slots(&engine), [(8000, exited)]);
        engine.start(&web, 8000, 2).await.unwrap();
        engine.stop(&id, SECOND).await.unwrap();
        engine.stop(&id, SECOND).await.unwrap();
        assert_eq!(slots(&engine), [(8000, RunState::Running)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lasts_no_longer_than_its_grace() {
        let engine = FakeEngine::new();
        let web = testing::containers("web");
        engine.stop_time(10 * SECOND);
        for (paused, grace, lasts) in [
            (false, 2 * SECOND, 2 * SECOND),
            (true, 2 * SECOND, 2 * SECOND),
            (true, Duration::ZERO, Duration::ZERO),
        ] {
            let id = engine.start(&web, 8000, 1).await.unwrap();
            if paused {
                engine.pause(8000);
            }
            let began = Instant::now();
            engine.stop(&id, grace).await.unwrap();
            assert_eq!(began.elapsed(), lasts);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_picture_is_an_old_picture() {
        let engine = FakeEngine::new();
        engine.observe_time(SECOND);
        let web = testing::containers("web");
        let (seen, _) = tokio::join!(engine.observe(), engine.start(&web, 8000, 1));
        assert_eq!(seen.unwrap(), []);
        assert_eq!(engine.observe().await.unwrap(), engine.replicas());
    }

    #[tokio::test(start_paused = true)]
    async fn every_change_is_said_and_many_at_once_are_one() {
        let engine = FakeEngine::new();
        let mut changes = engine.changes();
        assert_eq!(changes.next().now_or_never(), None);
        engine
            .start(&testing::containers("web"), 8000, 1)
            .await
            .unwrap();
        engine.exit(8000, 1);
        assert_eq!(changes.next().now_or_never(), Some(Some(())));
        assert_eq!(changes.next().now_or_never(), None);
        engine.reachable(false);
        assert_eq!(changes.next().now_or_never(), None);
        engine.reachable(true);
        assert_eq!(changes.next().now_or_never(), Some(Some(())));
    }
}
