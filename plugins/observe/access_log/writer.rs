//! The thread that writes, and the queue that leads to it.

use super::line::{Entry, Format};
use crate::plugin::prelude::*;
use prometheus::IntCounter;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};

/// Lines that may wait for the disk.
pub const QUEUE_LINES_MAX: usize = 8192;

/// Lines are written together once they fill this much, or when all are taken that had gathered.
const BATCH_BYTES: usize = 64 * 1024;

/// Once there is a line, more are waited for. To be woken for each of them would cost more than to
/// write it.
const GATHERED_FOR: Duration = Duration::from_millis(10);

/// How long leaving waits for the disk to take what is queued.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// How long to pause before knocking again at a full queue.
const QUEUE_WAIT: Duration = Duration::from_millis(5);

pub enum Message {
    Entry(Box<Entry>),
    Reopen,
    Flush(mpsc::Sender<()>),
}

/// The way to the writer's thread, which ends when the queue is dropped.
pub struct Queue {
    sender: SyncSender<Message>,
    /// Whether anybody writes what is queued.
    running: AtomicBool,
}

impl Queue {
    pub fn new() -> (Self, Receiver<Message>) {
        let (sender, receiver) = mpsc::sync_channel(QUEUE_LINES_MAX);
        let running = AtomicBool::new(false);
        (Queue { sender, running }, receiver)
    }

    /// False when the queue is full and the entry is lost.
    pub fn push(&self, entry: Entry) -> bool {
        let message = Message::Entry(Box::new(entry));
        self.sender.try_send(message).is_ok()
    }

    pub fn started(&self) {
        self.running.store(true, Ordering::Release);
    }

    /// Waits until what is queued is written, but not for ever.
    pub fn flush(&self) {
        if !self.running.load(Ordering::Acquire) {
            return;
        }
        let (done, flushed) = mpsc::channel();
        let mut message = Message::Flush(done);
        for _ in 0..FLUSH_MAX.as_millis() / QUEUE_WAIT.as_millis() {
            match self.sender.try_send(message) {
                Err(TrySendError::Full(back)) => message = back,
                Ok(()) => {
                    let _ = flushed.recv_timeout(FLUSH_MAX);
                    return;
                }
                Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(QUEUE_WAIT);
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Has the file opened anew once what is queued is written.
pub async fn reopen(queue: &Weak<Queue>) {
    while let Some(queue) = queue.upgrade() {
        match queue.sender.try_send(Message::Reopen) {
            Err(TrySendError::Full(_)) => {}
            Ok(()) | Err(TrySendError::Disconnected(_)) => return,
        }
        drop(queue);
        tokio::time::sleep(QUEUE_WAIT).await;
    }
}

pub struct Writer {
    format: Format,
    path: Option<PathBuf>,
    file: Option<File>,
    batch: Vec<u8>,
    lines: u64,
    failing: bool,
    dropped: IntCounter,
}

impl Writer {
    pub fn new(format: Format, path: Option<PathBuf>, dropped: IntCounter) -> Self {
        Writer {
            format,
            path,
            file: None,
            batch: Vec::new(),
            lines: 0,
            failing: false,
            dropped,
        }
    }

    pub fn run(mut self, queue: &Receiver<Message>) {
        self.reopen();
        while let Ok(message) = queue.recv() {
            if matches!(message, Message::Entry(_)) {
                std::thread::sleep(GATHERED_FOR);
            }
            self.handle(message);
            while let Ok(message) = queue.try_recv() {
                self.handle(message);
            }
            self.flush();
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Entry(entry) => {
                self.format.write(&entry, &mut self.batch);
                self.lines += 1;
                if self.batch.len() >= BATCH_BYTES {
                    self.flush();
                }
            }
            Message::Reopen => {
                self.flush();
                self.file = None;
                self.reopen();
            }
            Message::Flush(done) => {
                self.flush();
                let _ = done.send(());
            }
        }
    }

    fn flush(&mut self) {
        if self.lines == 0 {
            return;
        }
        if let Err(error) = self.write() {
            self.dropped.inc_by(self.lines);
            self.fail(&error);
        } else if std::mem::take(&mut self.failing) {
            log::info!("access-log: writing again");
        }
        self.batch.clear();
        self.lines = 0;
    }

    fn write(&mut self) -> io::Result<()> {
        self.open()?;
        match &mut self.file {
            Some(file) => file.write_all(&self.batch),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(&self.batch)?;
                out.flush()
            }
        }
    }

    /// At once, and not with the next line: whoever rotates files waits for the new one.
    fn reopen(&mut self) {
        if let Err(error) = self.open() {
            self.fail(&error);
        }
    }

    fn open(&mut self) -> io::Result<()> {
        if let (Some(path), None) = (&self.path, &self.file) {
            let mut options = OpenOptions::new();
            // Not for everybody: queries may hold what people should not have put there.
            options.append(true).create(true).mode(0o640);
            self.file = Some(options.open(path)?);
        }
        Ok(())
    }

    /// Says so once, and not for every line that is left out.
    fn fail(&mut self, error: &io::Error) {
        self.file = None;
        if !std::mem::replace(&mut self.failing, true) {
            let path = self.path.as_deref().map(|path| path.display().to_string());
            let path = path.unwrap_or_else(|| "the standard output".into());
            log::warn!("access-log: leaving lines out, cannot write to {path}: {error}");
        }
    }
}
