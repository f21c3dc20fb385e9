//! The number of requests under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::Notify;

/// Counts the requests inside the proxy, whatever they do, so that a stopping process knows when
/// it may leave.
#[derive(Clone, Default)]
pub struct InFlight {
    count: Arc<AtomicU64>,
    last: Arc<AtomicBool>,
    ending: Arc<Notify>,
}

impl InFlight {
    pub(super) fn enter(&self) -> Passing {
        self.count.fetch_add(1, Ordering::SeqCst);
        Passing(Arc::clone(&self.count))
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Makes every request from now on the last one of its connection.
    pub fn end_connections(&self) {
        self.last.store(true, Ordering::SeqCst);
        self.ending.notify_waiters();
    }

    pub fn ends_connections(&self) -> bool {
        self.last.load(Ordering::SeqCst)
    }

    /// Resolves once every request is the last one of its connection.
    pub async fn ending(&self) {
        let ending = self.ending.notified();
        if !self.ends_connections() {
            ending.await;
        }
    }
}

pub(super) struct Passing(Arc<AtomicU64>);

impl Drop for Passing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
