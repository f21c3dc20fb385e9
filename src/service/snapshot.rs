//! The immutable picture that requests, metrics and the admin API read.

use super::load::{Cursor, ServiceLoad};
use super::replica::{Replica, ReplicaView};
use super::spec::ServiceName;
use super::time::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub services: BTreeMap<ServiceName, Arc<ServiceView>>,
    /// Whether the container engine answers; true when no service needs one.
    pub engine_up: bool,
    /// When this picture was taken, and so what `ReplicaView::since` compares with.
    pub taken: Moment,
}

impl Snapshot {
    pub fn service(&self, name: &str) -> Option<&Arc<ServiceView>> {
        self.services.get(name)
    }
}

#[derive(Clone, Debug)]
pub struct ServiceView {
    pub name: ServiceName,
    /// In rotation, in slot order.
    pub ready: Vec<Arc<Replica>>,
    pub cursor: Arc<Cursor>,
    pub load: Arc<ServiceLoad>,
    /// Everything that exists, in slot order.
    pub replicas: Vec<ReplicaView>,
    pub min: u32,
    pub max: u32,
    pub desired: u32,
    /// A replica is on its way, so waiting for one makes sense.
    pub coming: bool,
    /// Why the replica set is as it is, and what it waits for.
    pub because: Vec<String>,
}
