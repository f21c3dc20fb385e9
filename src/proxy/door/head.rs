//! The time and size of a request's head as it arrives.

use super::pace::Alarm;
use crate::proxy::http1::head;
use crate::proxy::hygiene::Limits;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// Lines of a head beside the headers: the request and the blank one, and a few empty before it.
const OTHER_LINES: usize = 4;

/// A head under way, or waited for.
pub struct Head {
    /// When its first byte came, or the waiting began.
    began: Instant,
    bytes: u64,
    lines: usize,
    alarm: Alarm,
}

impl Head {
    /// Waits for one from now on.
    pub fn new() -> Head {
        Head {
            began: Instant::now(),
            bytes: 0,
            lines: 0,
            alarm: Alarm::default(),
        }
    }

    pub fn start(&mut self) {
        self.began = Instant::now();
        self.bytes = 0;
        self.lines = 0;
    }

    /// Lines of a body that came along do not count, and are many.
    pub fn count(&mut self, came: &[u8]) {
        self.bytes += came.len() as u64;
        let of_head = head::end(came, 0).map_or(came, |end| &came[..end]);
        self.lines += memchr::memchr_iter(b'\n', of_head).count();
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    pub fn is_too_large(&self, limits: &Limits) -> bool {
        self.bytes > limits.header_bytes || self.has_too_many_lines(limits)
    }

    pub fn has_too_many_lines(&self, limits: &Limits) -> bool {
        self.lines > limits.headers + OTHER_LINES
    }

    /// Ready when it was not complete `within` that time.
    pub fn poll_late(&mut self, cx: &mut Context<'_>, within: Duration) -> Poll<()> {
        self.alarm.poll(cx, self.began + within)
    }
}

/// Bytes that begin a request. Empty lines do not: some clients send one behind a body.
pub fn behind_empty_lines(came: &[u8]) -> &[u8] {
    let blank = came.iter().take_while(|byte| b"\r\n".contains(byte));
    &came[blank.count()..]
}
