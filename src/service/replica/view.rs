//! A replica in the snapshot.

use super::id::ReplicaId;
use super::live::Replica;
use super::phase::Phase;
use crate::service::spec::Slot;
use crate::service::time::Moment;
use std::net::SocketAddr;
use std::sync::Arc;

/// A replica as status, metrics and the dashboard show it.
#[derive(Clone, Debug)]
pub struct ReplicaView {
    pub id: ReplicaId,
    pub slot: Slot,
    pub generation: u64,
    pub phase: Phase,
    pub since: Moment,
    pub address: Option<SocketAddr>,
    /// Reason for the phase, if there is one to show.
    pub because: Option<String>,
    /// The replica of the request path, once it has been ready.
    pub live: Option<Arc<Replica>>,
}
