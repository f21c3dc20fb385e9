//! The engine's name of a replica.

use crate::service::spec::Slot;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Name of a replica at its engine: a container id, or an address. A clone shares the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(pub Arc<str>);

impl ReplicaId {
    pub fn new(id: impl AsRef<str>) -> Self {
        ReplicaId(Arc::from(id.as_ref()))
    }

    /// Short form of a container id: twelve characters, as `docker ps` shows them.
    pub fn short(&self) -> &str {
        match self.0.char_indices().nth(12) {
            Some((end, _)) if self.0.bytes().all(|b| b.is_ascii_hexdigit()) => &self.0[..end],
            _ => &self.0,
        }
    }

    /// The name with its slot; without it for an address, whose slot is only a position.
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
