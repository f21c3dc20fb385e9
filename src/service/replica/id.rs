//! The engine's name of a replica.

use crate::service::spec::Slot;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The engine's own name for a replica: a container id, or an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub Arc<str>);

impl ReplicaId {
    pub fn new(id: impl AsRef<str>) -> Self {
        ReplicaId(Arc::from(id.as_ref()))
    }

    /// Twelve characters, as `docker ps` shows them.
    pub fn short(&self) -> &str {
        match self.0.char_indices().nth(12) {
            Some((end, _)) if self.0.bytes().all(|b| b.is_ascii_hexdigit()) => &self.0[..end],
            _ => &self.0,
        }
    }

    /// With the slot, which of an address is only its position in a list.
    pub fn on(&self, slot: Slot) -> impl fmt::Display + '_ {
        fmt::from_fn(move |f| match self.0.parse::<SocketAddr>() {
            Ok(_) => write!(f, "{self}"),
            Err(_) => write!(f, "{self} on {slot}"),
        })
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}
