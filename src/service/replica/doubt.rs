//! What the request path thinks of a replica, before the health check has looked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Raised by a request whose connection was refused or reset; settled by the next health check.
/// An answer of 5xx only asks for one.
///
/// A doubted replica is passed over while another one is ready, and asked after its health at
/// once instead of at the next turn.
#[derive(Debug, Default)]
pub struct Doubt {
    raised: AtomicBool,
    heard: Notify,
    /// Rung for everybody.
    spread: Notify,
    asked: Notify,
    settled: Arc<Notify>,
    /// It has answered a request since a check began.
    lives: AtomicBool,
}

impl Doubt {
    pub fn raise(&self) {
        if !self.raised.swap(true, Ordering::Relaxed) {
            self.heard.notify_one();
            self.spread.notify_waiters();
        }
    }

    /// Wants to know how it is, without passing it over.
    pub fn ask(&self) {
        self.asked.notify_one();
    }

    /// Resolves when somebody wants to know.
    pub async fn asked(&self) {
        self.asked.notified().await;
    }

    /// It has begun to answer a request.
    pub fn answered(&self) {
        // Written once for each check, so that requests on other processors only read.
        if !self.lives.load(Ordering::Relaxed) {
            self.lives.store(true, Ordering::Relaxed);
        }
    }

    /// From now on it is of interest whether it answers.
    pub fn listen(&self) {
        self.lives.store(false, Ordering::Relaxed);
    }

    /// Whether it has answered since `listen`.
    pub fn has_answered(&self) -> bool {
        self.lives.load(Ordering::Relaxed)
    }

    /// The health check is content.
    pub fn settle(&self) {
        if self.raised.swap(false, Ordering::Relaxed) {
            self.settled.notify_waiters();
        }
    }

    /// Resolves when doubt is settled from now on.
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
