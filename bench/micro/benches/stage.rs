//! A service with as many ready replicas as one likes.

use std::net::SocketAddr;
use std::sync::Arc;
use tidegate::service::replica::{Phase, Replica, ReplicaId, ReplicaView};
use tidegate::service::snapshot::{ServiceView, Snapshot};
use tidegate::service::spec::{ServiceName, Slot};
use tidegate::service::store::Writer;
use tidegate::service::time::Moment;

pub fn service(writer: &Writer, count: Slot) -> ServiceView {
    service_at(writer, count, ([127, 0, 0, 1], 8000).into())
}

/// All of them under one address.
pub fn service_at(writer: &Writer, count: Slot, address: SocketAddr) -> ServiceView {
    let name = ServiceName::new("web");
    let load = Arc::new(writer.new_load());
    let ready: Vec<Arc<Replica>> = (0..count)
        .map(|slot| {
            let replica = writer.new_replica(
                name.clone(),
                ReplicaId::new(slot.to_string()),
                slot,
                u64::from(slot) + 1,
                address,
                Arc::default(),
            );
            Arc::new(replica.counted_in(&load))
        })
        .collect();
    let view = |replica: &Arc<Replica>| ReplicaView {
        id: ReplicaId::new(replica.slot.to_string()),
        slot: replica.slot,
        generation: replica.generation,
        phase: Phase::Ready,
        since: Moment::default(),
        address: Some(address),
        because: None,
        live: Some(Arc::clone(replica)),
    };
    ServiceView {
        replicas: ready.iter().map(view).collect(),
        ready,
        min: u32::from(count),
        max: u32::from(count),
        desired: u32::from(count),
        ..ServiceView::new(name, load)
    }
}

pub fn snapshot(service: ServiceView) -> Snapshot {
    Snapshot {
        services: [(service.name.clone(), Arc::new(service))].into(),
        engine_up: true,
        taken: Moment::default(),
    }
}
