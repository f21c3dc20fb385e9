//! A client that was refused and leaves.
//!
//! Bytes that it still sends are read and thrown away for a while, so that the last word is not
//! lost to a reset.

use super::pace::Alarm;
use super::words;
use http::StatusCode;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

const GOODBYE: Duration = Duration::from_millis(500);

pub struct Leaving {
    until: Instant,
    alarm: Alarm,
}

impl Leaving {
    /// Answers with `status`, as far as there is room for it now, and no more after that.
    pub fn refused<S: AsyncWrite + Unpin>(
        stream: &mut S,
        cx: &mut Context<'_>,
        status: StatusCode,
    ) -> Leaving {
        let said = Pin::new(&mut *stream).poll_write(cx, &words::of(status));
        if said.is_ready() {
            let _ = Pin::new(&mut *stream).poll_flush(cx);
            let _ = Pin::new(&mut *stream).poll_shutdown(cx);
        }
        Leaving {
            until: Instant::now() + GOODBYE,
            alarm: Alarm::default(),
        }
    }

    /// Ready when it has left, or had its time. Leaves `buf` as it was.
    pub fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<()> {
        let before = buf.filled().len();
        loop {
            if self.alarm.poll(cx, self.until).is_ready() {
                return Poll::Ready(());
            }
            let polled = Pin::new(&mut *stream).poll_read(cx, buf);
            let came = buf.filled().len() - before;
            buf.set_filled(before);
            match polled {
                Poll::Ready(Ok(())) if came > 0 => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
