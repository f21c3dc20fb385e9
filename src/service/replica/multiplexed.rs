//! Connections to a replica that carry many requests at once, a stream each: HTTP/2.
//!
//! A request takes a permit for a stream on the first connection with room. Where none has room, a new connection
//! is opened, one at a time, because each brings room for many. A connection that the replica has
//! sent away, or that broke, gets no new requests; those on it go on.

use super::idle_pool::{IDLE_MAX, JUST_USED, Use, is_open};
use bytes::Bytes;
use h2::client::SendRequest;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Connections to one replica. On further requests, streams wait for their turn on these.
const CONNECTIONS_MAX: usize = 64;
/// Streams of one connection, however many more the replica allows.
const STREAMS_MAX: usize = 1024;

#[derive(Debug)]
pub struct Multiplexed {
    all: Mutex<Vec<Arc<Shared>>>,
    dialling: Semaphore,
}

/// One connection.
#[derive(Debug)]
struct Shared {
    requests: SendRequest<Bytes>,
    descriptor: RawFd,
    streams: AtomicUsize,
    last_used: Mutex<Instant>,
}

/// A request's permit for one stream of a connection.
#[derive(Debug)]
pub struct StreamPermit {
    shared: Arc<Shared>,
    /// The connection was idle before: it may have been closed meanwhile.
    pub was_idle: bool,
}

impl Default for Multiplexed {
    fn default() -> Self {
        Multiplexed {
            all: Mutex::default(),
            dialling: Semaphore::new(1),
        }
    }
}

impl Multiplexed {
    /// A permit on a connection with room for one more stream.
    pub fn take(&self, used: Use) -> Option<StreamPermit> {
        let mut all = self.all();
        all.retain(|shared| shared.is_usable());
        let with_room = all.iter().find(|shared| shared.suits(used));
        let least_busy = || all.iter().min_by_key(|shared| shared.streams());
        let shared = match with_room {
            None if all.len() >= CONNECTIONS_MAX => least_busy(),
            found => found,
        };
        shared.map(|shared| StreamPermit::on(Arc::clone(shared)))
    }

    /// Waits for the turn to open a connection. Afterwards, look once more whether another request
    /// has opened one.
    pub async fn turn(&self) -> SemaphorePermit<'_> {
        self.dialling.acquire().await.expect("nobody closes it")
    }

    /// Adds a connection, and takes the first permit on it.
    pub(super) fn add(&self, requests: SendRequest<Bytes>, descriptor: RawFd) -> StreamPermit {
        let shared = Arc::new(Shared {
            requests,
            descriptor,
            streams: AtomicUsize::new(0),
            last_used: Mutex::new(Instant::now()),
        });
        let mut permit = StreamPermit::on(Arc::clone(&shared));
        permit.was_idle = false;
        self.all().push(shared);
        permit
    }

    /// Lets connections go that nobody has used for long.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let is_wanted = |shared: &Arc<Shared>| {
            shared.is_usable() && (shared.streams() > 0 || shared.silent(now) < IDLE_MAX)
        };
        self.all().retain(is_wanted);
    }

    /// Gives no more permits for the connections that there are. They end with their last request.
    pub(super) fn clear(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, Vec<Arc<Shared>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Whether the replica still takes new streams, as far as is known here.
    fn is_usable(&self) -> bool {
        let mut requests = self.requests.clone();
        let mut context = Context::from_waker(Waker::noop());
        !matches!(requests.poll_ready(&mut context), Poll::Ready(Err(_)))
    }

    fn suits(&self, used: Use) -> bool {
        let limit = self.requests.current_max_send_streams().min(STREAMS_MAX);
        let streams = self.streams();
        let is_at_rest = || streams == 0 && self.silent(Instant::now()) >= JUST_USED;
        let is_risky = used == Use::Once && is_at_rest() && !is_open(self.descriptor);
        streams < limit && !is_risky
    }

    fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    fn silent(&self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.last_used())
    }

    fn last_used(&self) -> MutexGuard<'_, Instant> {
        self.last_used
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamPermit {
    fn on(shared: Arc<Shared>) -> StreamPermit {
        let before = shared.streams.fetch_add(1, Ordering::Relaxed);
        StreamPermit {
            shared,
            was_idle: before == 0,
        }
    }

    /// The way to send one request.
    pub fn requests(&self) -> SendRequest<Bytes> {
        self.shared.requests.clone()
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        *self.shared.last_used() = Instant::now();
        self.shared.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
