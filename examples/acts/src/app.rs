//! State of one process beside the database.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::http::HeaderValue;
use tokio::time::Instant;

use crate::store::Store;
use crate::switches::Switches;

pub struct App {
    pub store: Store,
    pub switches: Switches,
    /// Name of this replica: in a container, its host name.
    pub replica: HeaderValue,
    /// API requests served since the start or the last reset.
    pub served: AtomicU64,
    crashed: AtomicBool,
}

impl App {
    pub fn new(store: Store, switches: Switches) -> Self {
        let replica = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            store,
            switches,
            replica: HeaderValue::from_str(replica.trim())
                .unwrap_or(HeaderValue::from_static("unknown")),
            served: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
        }
    }

    pub fn crash(&self) {
        self.crashed.store(true, Ordering::Relaxed);
    }

    pub fn crashed(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    pub fn hung(&self) -> bool {
        self.switches.hang_at.is_some_and(|at| at <= Instant::now())
    }
}
