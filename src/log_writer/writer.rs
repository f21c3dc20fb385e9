//! The thread that writes.

use super::message::{Line, QueueEnd, QueueMessage};
use prometheus::IntCounter;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Lines are written together up to this many bytes.
const BATCH_BYTES: usize = 64 << 10;
/// While lines keep coming faster than they are taken, a report of the dropped ones appears this
/// often.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Destination of lines.
pub enum Output {
    File {
        path: PathBuf,
        open: Option<File>,
    },
    Stream {
        name: &'static str,
        to: Box<dyn Write + Send>,
    },
}

impl Output {
    pub fn file(path: PathBuf) -> Output {
        Output::File { path, open: None }
    }

    pub fn stdout() -> Output {
        Output::Stream {
            name: "the standard output",
            to: Box::new(io::stdout()),
        }
    }

    pub fn stderr() -> Output {
        Output::Stream {
            name: "the standard error",
            to: Box::new(io::stderr()),
        }
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        self.open()?;
        match self {
            Output::File { open: None, .. } => unreachable!("opened above"),
            Output::File {
                open: Some(file), ..
            } => file.write_all(batch),
            Output::Stream { to, .. } => {
                to.write_all(batch)?;
                to.flush()
            }
        }
    }

    fn open(&mut self) -> io::Result<()> {
        if let Output::File { path, open } = self
            && open.is_none()
        {
            let mut options = OpenOptions::new();
            // Not for everybody: queries may hold what people should not have put there.
            options.append(true).create(true).mode(0o640);
            *open = Some(options.open(path)?);
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Output::File { open, .. } = self {
            *open = None;
        }
    }

    fn name(&self) -> String {
        match self {
            Output::File { path, .. } => path.display().to_string(),
            Output::Stream { name, .. } => (*name).to_owned(),
        }
    }
}

pub struct Writer<L> {
    output: Output,
    /// How long to wait for more after the first line. A thread that is woken for each line costs
    /// more than the writing; a log that may end with the process waits for nothing.
    gathers_for: Duration,
    batch: Vec<u8>,
    /// Lines in the batch.
    lines: u64,
    is_failing: bool,
    dropped: IntCounter,
    /// Dropped lines that were reported.
    reported: u64,
    reported_at: Instant,
    of: PhantomData<fn(L)>,
}

impl<L: Line> Writer<L> {
    pub fn new(output: Output, gathers_for: Duration, dropped: IntCounter) -> Self {
        Writer {
            output,
            gathers_for,
            batch: Vec::new(),
            lines: 0,
            is_failing: false,
            reported: dropped.get(),
            dropped,
            reported_at: Instant::now(),
            of: PhantomData,
        }
    }

    pub(super) fn run(mut self, waiting: &QueueEnd<L>) {
        self.reopen();
        while let Ok(message) = waiting.receiver.recv() {
            if !self.gathers_for.is_zero() && matches!(message, QueueMessage::Line(_)) {
                std::thread::sleep(self.gathers_for);
            }
            self.take_all(message, waiting);
            while self.dropped.get() != self.reported {
                // Lines that found room came before those that were dropped.
                match waiting.receiver.try_recv() {
                    Ok(message) => self.take_all(message, waiting),
                    Err(_) => {
                        self.report_dropped();
                        break;
                    }
                }
            }
        }
    }

    /// Takes what has gathered, and writes it.
    fn take_all(&mut self, message: QueueMessage<L>, waiting: &QueueEnd<L>) {
        self.handle(message, waiting);
        while let Ok(message) = waiting.receiver.try_recv() {
            self.handle(message, waiting);
        }
        self.write();
    }

    fn handle(&mut self, message: QueueMessage<L>, waiting: &QueueEnd<L>) {
        match message {
            QueueMessage::Line(line) => {
                line.write(&mut self.batch);
                waiting.bytes.fetch_sub(line.bytes(), Ordering::Relaxed);
                self.lines += 1;
                if self.batch.len() >= BATCH_BYTES {
                    self.write();
                    if self.reported_at.elapsed() >= REPORT_EVERY {
                        self.report_dropped();
                    }
                }
            }
            QueueMessage::Reopen => {
                self.write();
                self.output.close();
                self.reopen();
            }
            QueueMessage::Flush(done) => {
                self.write();
                self.report_dropped();
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        match self.output.write(&self.batch) {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                self.dropped.inc_by(self.lines);
                self.fail(&error);
            }
        }
        self.batch.clear();
        self.lines = 0;
    }

    /// Reports the lines dropped since the last report, once lines flow again.
    fn report_dropped(&mut self) {
        let dropped = self.dropped.get();
        if self.is_failing || dropped == self.reported {
            return;
        }
        L::report_dropped(dropped - self.reported, &mut self.batch);
        self.reported = dropped;
        self.reported_at = Instant::now();
        self.write();
    }

    /// At once and not with the next line: programs that rotate files wait for the new one.
    fn reopen(&mut self) {
        if let Err(error) = self.output.open() {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        self.output.close();
        if !std::mem::replace(&mut self.is_failing, true) {
            L::report_failure(&self.output.name(), error);
        }
    }
}
