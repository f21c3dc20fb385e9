//! A replica as status, metrics and the dashboard show it.

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
    /// Why it is in this phase, when there is something to say.
    pub because: Option<String>,
    /// The live counters, once it has been ready.
    pub live: Option<Arc<Replica>>,
}
