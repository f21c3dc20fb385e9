//! Halves of a start and of a stop, for tests that look in between.

use super::engine::FakeEngine;
use super::world::{error, is_live};
use crate::engine::{EngineError, ErrorKind};
use crate::service::replica::{Made, Observed, ReplicaId, RunState, Vouched};
use crate::service::spec::{Slot, Spec};
use std::net::{Ipv4Addr, SocketAddr};

impl FakeEngine {
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
}
