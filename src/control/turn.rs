//! One turn of the loop, as the parts of a service need it.

use super::input::{Clock, LoopInput, Sink};
use crate::service::event::Event;
use crate::service::store::Writer;
use crate::service::time::Moment;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// The world around the services: the snapshot's writer, the sink of events, the loop's own
/// channel and its clocks.
pub(super) struct Outside {
    pub(super) writer: Writer,
    pub(super) sink: Sink,
    pub(super) sender: mpsc::Sender<LoopInput>,
    pub(super) clock: Clock,
    pub(super) began: Instant,
}

impl Outside {
    pub(super) fn new(writer: Writer, sink: Sink, sender: mpsc::Sender<LoopInput>) -> Outside {
        Outside {
            writer,
            sink,
            sender,
            clock: Arc::new(wall_clock),
            began: Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Moment {
        Moment(self.began.elapsed())
    }

    /// `listing`: the number of the newest listing.
    pub(super) fn turn(&self, listing: u64) -> Turn<'_> {
        Turn {
            now: self.now(),
            clock: (self.clock)(),
            listing,
            outside: self,
        }
    }
}

/// A moment in which services change.
#[derive(Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) now: Moment,
    /// The time of day.
    pub(super) clock: Duration,
    /// The newest listing; only one that begins after it knows what happens in this turn.
    pub(super) listing: u64,
    outside: &'a Outside,
}

impl<'a> Turn<'a> {
    pub(super) fn emit(&self, event: Event) {
        (self.outside.sink)(&event);
    }

    pub(super) fn writer(&self) -> &'a Writer {
        &self.outside.writer
    }

    /// Where tasks report to.
    pub(super) fn sender(&self) -> mpsc::Sender<LoopInput> {
        self.outside.sender.clone()
    }

    pub(super) fn sink(&self) -> Sink {
        Arc::clone(&self.outside.sink)
    }
}

pub(super) fn wall_clock() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}
