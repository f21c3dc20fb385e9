//! The stream between a client and the parser: it knows what a client owes, and until when.

use super::connection::Connection;
use super::head::{Head, behind_empty_lines};
use super::leaving::Leaving;
use super::lent::Lent;
use super::pace::{Pace, Silence};
use super::phase::Phase;
use super::stream::ClientStream;
use super::unsent::Unsent;
use super::words;
use crate::proxy::settings::Settings;
use bytes::BytesMut;
use http::StatusCode;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub struct Guarded<S: AsyncRead + AsyncWrite + Unpin = ClientStream> {
    pub(super) inner: S,
    connection: Arc<Connection>,
    settings: Arc<Settings>,
    head: Head,
    unsent: Unsent,
    reading: Pace,
    writing: Pace,
    /// With a parser that must not read on into the next request.
    lent: Option<Lent>,
    /// Since the client ended its sending half, or got something after that.
    silence: Silence,
    leaving: Option<Leaving>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    pub fn new(inner: S, connection: Arc<Connection>, settings: Arc<Settings>) -> Guarded<S> {
        Guarded {
            inner,
            connection,
            settings,
            head: Head::new(),
            unsent: Unsent::default(),
            reading: Pace::default(),
            writing: Pace::default(),
            lent: None,
            silence: Silence::default(),
            leaving: None,
        }
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Ends a request. The next one is bounded by `settings`.
    pub fn rest(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
        self.connection.enter(Phase::Idle);
        self.head.start();
    }

    /// Begins the next request with what came ahead, if that is anything.
    pub fn begin_with(&mut self, ahead: &[u8]) {
        let ahead = behind_empty_lines(ahead);
        if !ahead.is_empty() {
            self.begin();
            self.head.count(ahead);
        }
    }

    fn begin(&mut self) {
        self.connection.enter(Phase::Head);
        self.head.start();
        self.reading.restart();
        self.writing.restart();
    }

    /// Gives the parser no more than one request from now on, of which it has the head; `ahead`
    /// came behind that.
    pub fn lend(&mut self, ahead: BytesMut) {
        self.lent = Some(Lent::new(ahead));
    }

    /// Ends `lend`. Returns what came behind the request.
    pub fn take_back(&mut self) -> BytesMut {
        self.lent.take().map(Lent::into_ahead).unwrap_or_default()
    }

    /// Writes a piece of an answer that is worth a call to the kernel.
    pub async fn send(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while !piece.is_empty() {
            let sent = poll_fn(|cx| {
                let polled = match self.unsent.is_empty() {
                    true => Pin::new(&mut self.inner).poll_write(cx, piece),
                    false => self
                        .unsent
                        .poll_write(cx, &mut self.inner, &[IoSlice::new(piece)]),
                };
                self.poll_taken(cx, polled, |count| *count)
            });
            match sent.await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => piece = &piece[count..],
            }
        }
        Ok(())
    }

    // === reading, by phase ===

    /// Waits for a head, which has a size and a time as a whole.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        phase: Phase,
    ) -> Poll<io::Result<()>> {
        // Here again, so what is there is no whole head.
        if phase == Phase::Head && self.head.is_too_large(&self.settings.limits) {
            return self.refuse(cx, buf, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let mut came = &buf.filled()[before..];
                if phase == Phase::Idle || self.head.is_empty() {
                    came = behind_empty_lines(came);
                }
                if !came.is_empty() {
                    if phase == Phase::Idle {
                        self.begin();
                    }
                    self.head.count(came);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_late_head(cx, buf, phase),
        }
    }

    fn poll_late_head(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        phase: Phase,
    ) -> Poll<io::Result<()>> {
        let within = match phase {
            Phase::Idle => self.settings.keepalive_timeout,
            _ => self.settings.bounds.header_timeout,
        };
        ready!(self.head.poll_late(cx, within));
        if phase == Phase::Head && !self.head.is_empty() {
            return self.refuse(cx, buf, StatusCode::REQUEST_TIMEOUT);
        }
        // Browsers open connections that they may need; a word on one of these would be taken
        // for the answer to a later request.
        self.connection.wire.end();
        Poll::Pending
    }

    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        status: StatusCode,
    ) -> Poll<io::Result<()>> {
        let leaving = Leaving::refused(&mut self.inner, cx, status);
        self.poll_leaving(leaving, cx, buf)
    }

    fn poll_leaving(
        &mut self,
        mut leaving: Leaving,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if leaving.poll(&mut self.inner, cx, buf).is_ready() {
            self.connection.wire.end();
        }
        self.leaving = Some(leaving);
        Poll::Pending
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.lent {
            None => Pin::new(&mut self.inner).poll_read(cx, buf),
            Some(lent) => match lent.is_body_over(|| self.connection.body()) {
                true => return self.poll_answer(cx, buf),
                false => lent.poll_body(&mut self.inner, cx, buf),
            },
        };
        if polled.is_ready() {
            self.reading.moved(buf.filled().len() - before);
            return polled;
        }
        if let Poll::Ready(failed @ Err(_)) = self.poll_unsent(cx) {
            return Poll::Ready(failed);
        }
        let grace = self.settings.client_read_timeout;
        let rate = self.settings.bounds.min_rate_bytes;
        ready!(self.reading.poll_too_slow(cx, grace, rate));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Waits for the client's end while it is answered. Bytes sent ahead are for the next request.
    fn poll_answer(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(lent) = &mut self.lent else {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            return match buf.filled().len() > before || buf.remaining() == 0 {
                true => Poll::Ready(Ok(())),
                false => self.silence.poll_too_long(cx).map(Ok),
            };
        };
        let ended = lent.poll_ahead(&mut self.inner, cx)?.is_ready();
        ready!(self.poll_unsent(cx))?;
        match ended {
            true => self.silence.poll_too_long(cx).map(Ok),
            false => Poll::Pending,
        }
    }

    /// Waits for the client's end while its request waits.
    fn poll_held(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.lent {
            Some(lent) => lent.poll_ahead(&mut self.inner, cx),
            None => Pin::new(&mut self.inner).poll_read(cx, buf),
        }
    }

    /// Reads what is sent ahead and reports no end: the answer is awaited, whether the client is
    /// still there or not.
    fn poll_owed(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let _ = self.poll_unsent(cx);
        let polled = self.poll_held(cx, buf);
        match buf.filled().len() > before {
            true => polled,
            false => Poll::Pending,
        }
    }

    fn poll_tunnel(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.lent {
            Some(lent) => lent.poll_raw(&mut self.inner, cx, buf),
            None => Pin::new(&mut self.inner).poll_read(cx, buf),
        }
    }

    /// Reads frames, and leaves some for the next turn where there are many.
    fn poll_frames(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.connection.may_read() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = self.poll_tunnel(cx, buf);
        self.connection.has_read(buf.filled().len() - before);
        polled
    }

    // === writing ===

    /// Sends what there is of an answer: its writer waits for the client and has nothing to add.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.unsent.is_empty() {
            true => Poll::Ready(Ok(())),
            false => Pin::new(self).poll_flush(cx),
        }
    }

    /// Refuses a request that no hook has seen, in place of the parser's own words.
    fn poll_refused(
        &mut self,
        cx: &mut Context<'_>,
        words_of_parser: &[u8],
    ) -> Poll<io::Result<()>> {
        let status = match self.head.has_too_many_lines(&self.settings.limits) {
            true => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            false => words::status_of(words_of_parser),
        };
        let said = ready!(Pin::new(&mut self.inner).poll_write(cx, &words::of(status)));
        self.connection.enter(Phase::Answer);
        Poll::Ready(said.map(drop))
    }

    fn is_before_request(&self) -> bool {
        matches!(self.connection.phase(), Phase::Idle | Phase::Head)
    }

    /// Fails where a client that takes nothing has had its time.
    fn poll_taken<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if self.connection.phase() == Phase::Tunnel {
            return polled;
        }
        match polled {
            Poll::Ready(result) => {
                let count = result.as_ref().map_or(0, bytes);
                self.writing.moved(count);
                if count > 0 {
                    self.silence.restart();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                let grace = self.settings.client_write_timeout;
                let rate = self.settings.bounds.min_rate_bytes;
                ready!(self.writing.poll_too_slow(cx, grace, rate));
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(leaving) = this.leaving.take() {
            return this.poll_leaving(leaving, cx, buf);
        }
        match this.connection.phase() {
            phase @ (Phase::Idle | Phase::Head) => this.poll_head(cx, buf, phase),
            Phase::Body => this.poll_body(cx, buf),
            Phase::Answer => this.poll_answer(cx, buf),
            Phase::Tunnel => this.poll_tunnel(cx, buf),
            Phase::Streams => this.poll_frames(cx, buf),
            Phase::Held => this.poll_held(cx, buf),
            Phase::Owed => this.poll_owed(cx, buf),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_before_request() {
            return this.poll_refused(cx, buf).map_ok(|()| buf.len());
        }
        let polled = this
            .unsent
            .poll_write(cx, &mut this.inner, &[IoSlice::new(buf)]);
        this.poll_taken(cx, polled, |count| *count)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unsent.is_empty() && this.connection.puts_off_flush() {
            return Poll::Ready(Ok(()));
        }
        let polled = match this.unsent.poll_send(cx, &mut this.inner) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.inner).poll_flush(cx),
            polled => polled,
        };
        this.poll_taken(cx, polled, |()| 0)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = match this.unsent.poll_send(cx, &mut this.inner) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.inner).poll_shutdown(cx),
            polled => polled,
        };
        this.poll_taken(cx, polled, |()| 0)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_before_request() {
            let first = bufs.iter().find(|buf| !buf.is_empty());
            return Pin::new(this).poll_write(cx, first.map_or(&[], |buf| &buf[..]));
        }
        let polled = this.unsent.poll_write(cx, &mut this.inner, bufs);
        this.poll_taken(cx, polled, |count| *count)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Tries to send the last bytes, for which nobody waited.
impl<S: AsyncRead + AsyncWrite + Unpin> Drop for Guarded<S> {
    fn drop(&mut self) {
        if !self.unsent.is_empty() {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = self.unsent.poll_send(&mut cx, &mut self.inner);
        }
    }
}

#[cfg(test)]
#[path = "guarded_tests.rs"]
mod tests;
