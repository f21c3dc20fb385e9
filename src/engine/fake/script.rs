//! The script, which tests write.

use super::call::Call;
use super::engine::FakeEngine;
use super::world::{FakeLoad, is_live};
use crate::engine::ErrorKind;
use crate::service::replica::{Observed, ReplicaId, RunState};
use crate::service::spec::{ImageId, ServiceName, Slot};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

impl FakeEngine {
    /// Time of each start of this service.
    pub fn start_time(&self, service: &str, time: Duration) {
        let service = ServiceName::new(service);
        self.world().start_times.insert(service, time);
    }

    /// Time of each start in this slot, of any service.
    pub fn slot_start_time(&self, slot: Slot, time: Duration) {
        self.world().slot_start_times.insert(slot, time);
    }

    /// Time that a replica takes to stop; one that takes longer than the grace is killed.
    pub fn stop_time(&self, time: Duration) {
        self.world().stop_time = time;
    }

    /// Age of a listing when `observe` returns it.
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

    /// Time of pausing or resuming a replica.
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
        *load = FakeLoad {
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

    /// Strangers that still run; only the test ends them.
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
    /// Listings say that they may be old.
    pub fn stale(&self, stale: bool) {
        self.world().is_stale = stale;
        self.announce();
    }

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

    /// All replicas in order of creation, whether or not the engine can be reached.
    pub fn replicas(&self) -> Vec<Observed> {
        self.world().replicas.clone()
    }

    pub fn calls(&self) -> Vec<Call> {
        self.world().calls.clone()
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
}
