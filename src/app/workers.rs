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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::sync::Notify;

    /// More than the queue of a worker has room for, and no more than two files each.
    const PAIRS: usize = 400;
    /// Bytes that one end of each pair gets, on average, until all are stopped.
    const BYTES: u32 = 200;

    /// Sends each byte back, and counts.
    async fn echo(
        mut stream: UnixStream,
        count: Arc<AtomicU32>,
        all: Arc<AtomicU32>,
        over: Arc<Notify>,
    ) {
        while let Ok(byte) = stream.read_u8().await {
            count.fetch_add(1, Ordering::Relaxed);
            if all.fetch_add(1, Ordering::Relaxed) == PAIRS as u32 * BYTES {
                over.notify_one();
            }
            if stream.write_u8(byte).await.is_err() {
                return;
            }
        }
    }

    #[test]
    fn a_busy_worker_serves_hundreds_of_connections_alike() {
        crate::app::file_limit::raise_open_files();
        let runtime = start(1).unwrap();
        let (all, over) = (Arc::<AtomicU32>::default(), Arc::<Notify>::default());
        let counts = runtime.block_on(async {
            let (mut counts, mut begin) = (Vec::new(), Vec::new());
            for _ in 0..PAIRS {
                let (one, other) = UnixStream::pair().unwrap();
                let count = Arc::<AtomicU32>::default();
                counts.push(Arc::clone(&count));
                begin.push(one);
                tokio::spawn(echo(other, count, Arc::clone(&all), Arc::clone(&over)));
            }
            for mut one in begin {
                one.write_u8(0).await.unwrap();
                let unheard = Arc::<AtomicU32>::default();
                tokio::spawn(echo(one, unheard, Arc::default(), Arc::clone(&over)));
            }
            over.notified().await;
            counts
        });
        runtime.shutdown_background();
        let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
        let (least, most) = (counts.clone().min().unwrap(), counts.max().unwrap());
        assert!(
            least >= BYTES / 2 && most <= BYTES * 2,
            "{least} to {most} of {BYTES}"
        );
    }
}
