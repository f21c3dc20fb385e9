//! A stream that is lent to a parser for one request.
//!
//! Pingora would take bytes behind a body for an error. So it gets the body's own bytes and no
//! more; those behind it wait for the next request.

use super::extent::Extent;
use bytes::BytesMut;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes that a client may send ahead while it is answered; more stays with the kernel.
pub const AHEAD_MAX: usize = 64 << 10;
/// Bytes sent ahead that are read at once.
const READ_BYTES: usize = 4 << 10;

pub struct Lent {
    /// Bytes that the parser has not read yet: of the body, or behind it.
    ahead: BytesMut,
    /// Rest of the body that the parser has not read, from when it first asks.
    body: Option<Extent>,
}

impl Lent {
    /// `ahead` came behind the head.
    pub fn new(ahead: BytesMut) -> Lent {
        Lent { ahead, body: None }
    }

    /// Bytes behind the request.
    pub fn into_ahead(self) -> BytesMut {
        self.ahead
    }

    /// Whether the parser has read all of the body, which is `whole` where it has read none.
    pub fn is_body_over(&mut self, whole: impl FnOnce() -> Extent) -> bool {
        *self.body.get_or_insert_with(whole) == Extent::Over
    }

    pub fn poll_body<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = self.poll_raw(stream, cx, buf);
        let came = &buf.filled()[before..];
        let count = self.body.get_or_insert_default().take(came)?;
        if count < came.len() {
            let behind = std::mem::take(&mut self.ahead);
            self.ahead = BytesMut::from(&came[count..]);
            self.ahead.unsplit(behind);
            buf.set_filled(before + count);
        }
        polled
    }

    /// Reads what was sent ahead, and then what comes, whatever it is.
    pub fn poll_raw<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(stream).poll_read(cx, buf);
        }
        let count = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead.split_to(count));
        Poll::Ready(Ok(()))
    }

    /// Keeps what comes for the next request, as far as there is room. Ready when the client has
    /// ended its half.
    pub fn poll_ahead<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.ahead.len() < AHEAD_MAX {
            let mut room = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            match read.filled() {
                [] => return Poll::Ready(Ok(())),
                came => self.ahead.extend_from_slice(came),
            }
        }
        Poll::Pending
    }
}
