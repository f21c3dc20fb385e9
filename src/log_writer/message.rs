//! Messages to the writer's thread.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{self, Receiver};

/// A line, formatted on the writer's thread.
pub trait Line: Send + 'static {
    /// Memory that the line takes while it waits.
    fn bytes(&self) -> usize;

    /// Appends the text with its newline.
    fn write(&self, out: &mut Vec<u8>);

    /// Reports how many lines were dropped, in `out` or elsewhere.
    fn report_dropped(count: u64, out: &mut Vec<u8>);

    /// Reports that `output` refuses lines, once until it takes them again.
    fn report_failure(output: &str, error: &std::io::Error);
}

/// A message in the queue.
pub enum QueueMessage<L> {
    Line(L),
    Reopen,
    Flush(mpsc::Sender<()>),
}

/// The writer's end of the queue.
pub struct QueueEnd<L> {
    pub(super) receiver: Receiver<QueueMessage<L>>,
    pub(super) bytes: Arc<AtomicUsize>,
}
