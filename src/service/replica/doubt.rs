//! Doubt about a replica: the suspicion of requests, until a health check settles it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Doubt about one replica. A refused or reset connection raises it, the next good health check
/// settles it; an answer of 5xx only asks for a check.
///
/// A doubted replica gets no request while another one is ready, and is checked at once.
#[derive(Debug, Default)]
pub struct Doubt {
    raised: AtomicBool,
    heard: Notify,
    /// Wakes all requests that wait for the replica.
    spread: Notify,
    asked: Notify,
    settled: Arc<Notify>,
    /// Whether the replica has answered a request since a check began.
    lives: AtomicBool,
}

impl Doubt {
    /// Raises doubt.
    pub fn raise(&self) {
        if !self.raised.swap(true, Ordering::Relaxed) {
            self.heard.notify_one();
            self.spread.notify_waiters();
        }
    }

    /// Asks for a health check without raising doubt.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Resolves when a check is asked for.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Notes that the replica has begun to answer a request.
    pub fn answered(&self) {
        // Written once for each check, so that other processors only read.
        if !self.lives.load(Ordering::Relaxed) {
            self.lives.store(true, Ordering::Relaxed);
        }
    }

    /// Starts to watch for answers, as a health check begins.
    pub fn listen(&self) {
        self.lives.store(false, Ordering::Relaxed);
    }

    /// Whether the replica has answered since `listen`.
    pub fn has_answered(&self) -> bool {
        self.lives.load(Ordering::Relaxed)
    }

    /// Settles the doubt after a good health check.
    pub fn settle(&self) {
        if self.raised.swap(false, Ordering::Relaxed) {
            self.settled.notify_waiters();
        }
    }

    /// Resolves when doubt is settled, counted from this call on.
    pub fn settled(&self) -> OwnedNotified {
        Arc::clone(&self.settled).notified_owned()
    }

    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    /// Resolves when doubt is raised, once for each time: for the health check.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }

    /// Resolves while doubt is raised, for each request that waits for the replica.
    pub async fn spread(&self) {
        let spread = self.spread.notified();
        if !self.is_raised() {
            spread.await;
        }
    }
}
