//! Threads that serve clients' connections.
//!
//! Pingora gives its services a runtime with tokio's defaults, under which a busy worker asks for
//! up to 1024 connections that are ready. Its queue has room for 256; the rest overflows into a
//! queue that a busy worker hardly ever looks at. So with a thousand busy connections some were
//! answered at once, and others waited ten times as long. A worker that asks for no more
//! connections than it has served since it asked last leaves the rest with the kernel, which keeps
//! them in order.

use std::io;
use tokio::runtime::{Builder, Runtime};

/// Tasks that a busy worker runs before it asks for ready connections, and how many it asks for.
const BATCH: u32 = 61;
/// Connections that an idle worker asks for: half of what its queue has room for.
const IDLE_BATCH: usize = 128;

/// Starts them. They end with the runtime.
pub fn start(threads: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .worker_threads(threads)
        .thread_name("proxy")
        .event_interval(BATCH)
        .max_io_events_per_tick(IDLE_BATCH)
        .max_io_events_per_busy_tick(BATCH as usize)
        .build()
}
