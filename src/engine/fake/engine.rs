//! The engine itself.

use super::call::{Call, CallKind};
use super::world::{FAKE_MEMORY_BYTES, FakeWorld, error, is_live, timed_out};
use crate::engine::{Abilities, Engine, EngineError, ErrorKind, Place, World};
use crate::service::replica::{ReplicaId, RunState};
use crate::service::spec::{ImageId, Pull, Slot, Spec};
use crate::service::usage::Usage;
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// A call that hangs is given up after this.
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// An engine that does what its script says.
#[derive(Clone)]
pub struct FakeEngine {
    world: Arc<Mutex<FakeWorld>>,
    changed: watch::Sender<()>,
    pub(super) born: Instant,
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
    /// An engine that starts and stops at once, and where nothing fails.
    pub fn new() -> Self {
        FakeEngine::default()
    }

    pub(super) fn world(&self) -> MutexGuard<'_, FakeWorld> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn announce(&self) {
        if !self.world().unreachable {
            self.changed.send_replace(());
        }
    }

    /// Records the call; returns the world, if it can be reached.
    pub(super) fn asked(
        &self,
        op: &'static str,
        what: CallKind,
    ) -> Result<MutexGuard<'_, FakeWorld>, EngineError> {
        let at = self.born.elapsed();
        self.world().calls.push(Call { at, what });
        self.reach(op)
    }

    pub(super) fn reach(&self, op: &'static str) -> Result<MutexGuard<'_, FakeWorld>, EngineError> {
        let world = self.world();
        match world.unreachable {
            true => Err(error(ErrorKind::Unreachable, op, "the script says so")),
            false => Ok(world),
        }
    }

    async fn freeze(
        &self,
        op: &'static str,
        asked: CallKind,
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

#[async_trait]
impl Engine for FakeEngine {
    async fn observe(&self) -> Result<World, EngineError> {
        const OP: &str = "list the replicas";
        let (time, picture) = {
            let world = self.asked(OP, CallKind::Observe)?;
            (world.observe_time, world.replicas.clone())
        };
        wait(time).await;
        let fresh = !self.reach(OP)?.is_stale;
        Ok(World {
            fresh,
            ..World::here(picture)
        })
    }

    fn can(&self) -> Abilities {
        Abilities::ALL
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
        _place: &Place,
    ) -> Result<ReplicaId, EngineError> {
        const OP: &str = "start the replica";
        let asked = CallKind::Start {
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

    async fn last_logs(&self, id: &ReplicaId) -> Vec<String> {
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
        let asked = CallKind::Pause { id: id.clone() };
        self.freeze(OP, asked, id, RunState::Paused).await
    }

    async fn resume(&self, id: &ReplicaId) -> Result<(), EngineError> {
        const OP: &str = "resume the replica";
        let asked = CallKind::Resume { id: id.clone() };
        self.freeze(OP, asked, id, RunState::Running).await
    }

    async fn stop(&self, id: &ReplicaId, grace: Duration) -> Result<(), EngineError> {
        const OP: &str = "stop the replica";
        let asked = CallKind::Stop {
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
                // No engine is left that could change anything.
                Err(_) => std::future::pending().await,
            }
        })
        .boxed()
    }
}

/// Sleeps, but not for nothing, which would take a millisecond of tokio's clock.
async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
