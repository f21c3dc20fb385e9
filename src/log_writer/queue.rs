//! The queue: bounded, and never waiting.

use super::message::{Line, QueueEnd, QueueMessage};
use super::writer::Writer;
use prometheus::IntCounter;
use std::sync::Arc;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::{Duration, Instant};

/// Lines that may wait for the writer.
pub const QUEUE_LINES_MAX: usize = 8192;
/// Memory that waiting lines may take; a single line may hold a target of a megabyte.
pub const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Timeout of [`Queue::flush`], for a writer that is stuck.
const FLUSH_MAX: Duration = Duration::from_secs(1);
/// Pause between attempts to enter a full queue.
const RETRY_EVERY: Duration = Duration::from_millis(5);

/// The queue to the writer's thread, which ends when the queue is dropped.
pub struct Queue<L: Line> {
    sender: SyncSender<QueueMessage<L>>,
    waiting_bytes: Arc<AtomicUsize>,
    dropped: IntCounter,
    is_running: AtomicBool,
}

impl<L: Line> Queue<L> {
    /// `dropped` counts the lines that are lost, here and by the writer.
    pub fn new(dropped: IntCounter) -> (Self, QueueEnd<L>) {
        let (sender, receiver) = mpsc::sync_channel(QUEUE_LINES_MAX);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let waiting = QueueEnd {
            receiver,
            bytes: Arc::clone(&waiting_bytes),
        };
        let queue = Queue {
            sender,
            waiting_bytes,
            dropped,
            is_running: AtomicBool::new(false),
        };
        (queue, waiting)
    }

    /// Never waits: a line that finds no room is dropped and counted.
    pub fn push(&self, line: L) {
        let bytes = line.bytes();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before + bytes <= QUEUE_BYTES_MAX;
        if !has_room || self.sender.try_send(QueueMessage::Line(line)).is_err() {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.inc();
        }
    }

    /// Runs `writer` on a thread called `name`.
    pub fn start(
        &self,
        name: &str,
        writer: Writer<L>,
        waiting: QueueEnd<L>,
    ) -> std::io::Result<()> {
        let thread = std::thread::Builder::new().name(name.into());
        thread.spawn(move || writer.run(&waiting))?;
        self.is_running.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits until all lines so far are written, for a second at most.
    pub fn flush(&self) {
        if !self.is_running.load(Ordering::Acquire) {
            return;
        }
        let deadline = Instant::now() + FLUSH_MAX;
        let (done, flushed) = mpsc::channel();
        let mut message = QueueMessage::Flush(done);
        while Instant::now() < deadline {
            match self.sender.try_send(message) {
                Err(TrySendError::Full(back)) => message = back,
                Ok(()) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let _ = flushed.recv_timeout(left);
                    return;
                }
                Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(RETRY_EVERY);
        }
    }
}

impl<L: Line> Drop for Queue<L> {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Reopens the file once all lines so far are written.
pub async fn reopen<L: Line>(queue: &Weak<Queue<L>>) {
    while let Some(queue) = queue.upgrade() {
        match queue.sender.try_send(QueueMessage::Reopen) {
            Err(TrySendError::Full(_)) => {}
            Ok(()) | Err(TrySendError::Disconnected(_)) => return,
        }
        drop(queue);
        tokio::time::sleep(RETRY_EVERY).await;
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
