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
    asked: Notify,
    settled: Arc<Notify>,
}

impl Doubt {
    pub fn raise(&self) {
        if !self.raised.swap(true, Ordering::Relaxed) {
            self.heard.notify_one();
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

    /// Resolves when doubt is raised.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }
}
