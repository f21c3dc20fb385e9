//! Places for streams of events.

use super::door::Door;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Streams at once through one door; each costs a task, and what a slow reader leaves waiting.
pub const STREAMS_MAX: usize = 64;
/// Places for streams, apart for each door: strangers take none from the owner of the socket.
#[derive(Clone)]
pub struct Streams {
    tcp: Arc<Semaphore>,
    socket: Arc<Semaphore>,
}

impl Default for Streams {
    fn default() -> Streams {
        let [tcp, socket] = [(); 2].map(|()| Arc::new(Semaphore::new(STREAMS_MAX)));
        Streams { tcp, socket }
    }
}

impl Streams {
    /// A place, unless all are taken.
    pub fn take(&self, door: Door) -> Option<OwnedSemaphorePermit> {
        let places = match door {
            Door::Tcp => &self.tcp,
            Door::Socket => &self.socket,
        };
        Arc::clone(places).try_acquire_owned().ok()
    }
}
