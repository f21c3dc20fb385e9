//! The stream between a client and the parser: it knows what a client owes, and until when.

use super::extent::Extent;
use super::pace::{Alarm, Pace};
use super::unsent::Unsent;
use super::{Connection, Phase, words};
use crate::proxy::Settings;
use bytes::BytesMut;
use http::StatusCode;
use pingora::http::ResponseHeader;
use pingora::protocols::Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// How long what somebody still sends is read, once it was told that its request is refused.
const GOODBYE: Duration = Duration::from_millis(500);
/// A client that has ended its sending half may still read, or have left without a trace: so long
/// may a replica be silent before it counts as gone.
const HALF_CLOSED_SILENCE: Duration = Duration::from_secs(5);
/// Reading at once what is sent ahead.
const READ_BYTES: usize = 4 << 10;
/// Lines of a head beside the headers: the request and the blank one, and a few empty before it.
const OTHER_LINES: usize = 4;

/// Bytes that a client may send ahead while it is answered; more stays with the kernel.
pub const AHEAD_MAX: usize = 64 << 10;

pub struct Guarded {
    pub(super) inner: Stream,
    connection: Arc<Connection>,
    settings: Arc<Settings>,
    /// The same for each request; how the hooks find `connection`.
    pub(super) digest: Arc<ProxyDigest>,
    head: Head,
    unsent: Unsent,
    reading: Pace,
    writing: Pace,
    /// With a parser that must not read on into the next request.
    lent: Option<Lent>,
    /// When the client ended its sending half, or got something after that.
    finished: Option<Instant>,
    /// Refused: until then, what it sends is thrown away.
    leaves: Option<Instant>,
}

/// A head under way, or waited for.
struct Head {
    /// When its first byte came, or the waiting began.
    began: Instant,
    bytes: u64,
    lines: usize,
    alarm: Alarm,
}

struct Lent {
    /// Bytes that the parser has not read yet: of the body, or behind it.
    ahead: BytesMut,
    /// Rest of the body that the parser has not read, from when it first asks.
    body: Option<Extent>,
}

impl Head {
    fn start(&mut self) {
        self.began = Instant::now();
        self.bytes = 0;
        self.lines = 0;
    }

    fn count(&mut self, came: &[u8]) {
        self.bytes += came.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', came).count();
    }
}

impl Guarded {
    pub fn new(inner: Stream, connection: Arc<Connection>, settings: Arc<Settings>) -> Guarded {
        let response = ResponseHeader::build(StatusCode::OK, Some(0));
        let response = response.expect("200 is a status");
        let kept = Box::new(Arc::clone(&connection));
        Guarded {
            inner,
            connection,
            settings,
            digest: Arc::new(ProxyDigest::new(Box::new(response), Some(kept))),
            head: Head {
                began: Instant::now(),
                bytes: 0,
                lines: 0,
                alarm: Alarm::default(),
            },
            unsent: Unsent::default(),
            reading: Pace::default(),
            writing: Pace::default(),
            lent: None,
            finished: None,
            leaves: None,
        }
    }

    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// A request is answered, and another one may come, which is bounded as by then.
    pub fn rest(&mut self, settings: Arc<Settings>) {
        self.settings = settings;
        self.connection.enter(Phase::Idle);
        self.head.start();
    }

    /// The next request has begun with what came ahead, if that is anything.
    pub fn begin_with(&mut self, ahead: &[u8]) {
        let ahead = behind_empty_lines(ahead);
        if ahead.is_empty() {
            return;
        }
        self.connection.enter(Phase::Head);
        self.reading.restart();
        self.writing.restart();
        self.head.start();
        self.head.count(ahead);
    }

    /// Gives the parser no more than one request from now on, of which it has the head; `ahead`
    /// came behind that.
    pub fn lend(&mut self, ahead: BytesMut) {
        self.lent = Some(Lent { ahead, body: None });
    }

    /// Ends `lend`. Returns what came behind the request.
    pub fn take_back(&mut self) -> BytesMut {
        self.lent.take().map(|lent| lent.ahead).unwrap_or_default()
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

    fn has_too_many_lines(&self) -> bool {
        self.head.lines > self.settings.limits.headers + OTHER_LINES
    }

    /// Waits for a head, which has a size and a time as a whole.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        phase: Phase,
    ) -> Poll<io::Result<()>> {
        let limits = &self.settings.limits;
        if phase == Phase::Head {
            // Here again, so what is there is no whole head.
            if self.head.bytes > limits.header_bytes || self.has_too_many_lines() {
                return self.refuse(cx, buf, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            }
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        match polled {
            Poll::Ready(Ok(())) => {
                let mut came = &buf.filled()[before..];
                if phase == Phase::Idle || self.head.bytes == 0 {
                    came = behind_empty_lines(came);
                }
                if came.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                if phase == Phase::Idle {
                    self.connection.enter(Phase::Head);
                    self.head.start();
                    self.reading.restart();
                    self.writing.restart();
                }
                self.head.count(came);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending if phase == Phase::Idle => {
                let due = self.head.began + self.settings.keepalive_timeout;
                ready!(self.head.alarm.poll(cx, due));
                self.connection.end();
                Poll::Pending
            }
            Poll::Pending => {
                let due = self.head.began + self.settings.bounds.header_timeout;
                ready!(self.head.alarm.poll(cx, due));
                if self.head.bytes == 0 {
                    // Browsers open connections that they may need; a word on one of these
                    // would be taken for the answer to a later request.
                    self.connection.end();
                    return Poll::Pending;
                }
                self.refuse(cx, buf, StatusCode::REQUEST_TIMEOUT)
            }
        }
    }

    /// Says why, as far as there is room for it now, and then no more.
    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        status: StatusCode,
    ) -> Poll<io::Result<()>> {
        let said = Pin::new(&mut self.inner).poll_write(cx, &words::of(status));
        if said.is_ready() {
            let _ = Pin::new(&mut self.inner).poll_flush(cx);
            let _ = Pin::new(&mut self.inner).poll_shutdown(cx);
        }
        let until = Instant::now() + GOODBYE;
        self.leaves = Some(until);
        self.poll_leaving(cx, buf, until)
    }

    /// Reads what is still sent and throws it away, so that the last word is not lost to a reset.
    fn poll_leaving(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        until: Instant,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let is_over = loop {
            if self.head.alarm.poll(cx, until).is_ready() {
                break true;
            }
            let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
            let came = buf.filled().len() - before;
            buf.set_filled(before);
            match polled {
                Poll::Ready(Ok(())) if came > 0 => {}
                Poll::Ready(_) => break true,
                Poll::Pending => break false,
            }
        };
        if is_over {
            self.connection.end();
        }
        Poll::Pending
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.lent {
            Some(lent) => {
                let body = lent.body.get_or_insert_with(|| self.connection.body());
                if *body == Extent::Over {
                    return self.poll_answer(cx, buf);
                }
                let polled = match lent.ahead.is_empty() {
                    true => Pin::new(&mut self.inner).poll_read(cx, buf),
                    false => {
                        let count = lent.ahead.len().min(buf.remaining());
                        buf.put_slice(&lent.ahead.split_to(count));
                        Poll::Ready(Ok(()))
                    }
                };
                let came = &buf.filled()[before..];
                let count = body.take(came)?;
                if count < came.len() {
                    let behind = std::mem::take(&mut lent.ahead);
                    lent.ahead = BytesMut::from(&came[count..]);
                    lent.ahead.unsplit(behind);
                    buf.set_filled(before + count);
                }
                polled
            }
            None => Pin::new(&mut self.inner).poll_read(cx, buf),
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

    /// Waits for the client's end while it is answered. What it sends ahead is for whoever reads
    /// the next request.
    fn poll_answer(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.lent.is_none() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            return match buf.filled().len() > before || buf.remaining() == 0 {
                true => Poll::Ready(Ok(())),
                false => self.poll_gone(cx),
            };
        }
        let ended = self.poll_ahead(cx)?.is_ready();
        ready!(self.poll_unsent(cx))?;
        match ended {
            true => self.poll_gone(cx),
            false => Poll::Pending,
        }
    }

    /// Keeps what comes for later, as far as there is room. Ready when the client has ended its
    /// half.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(lent) = &mut self.lent else {
            return Poll::Pending;
        };
        while lent.ahead.len() < AHEAD_MAX {
            let mut room = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut read))?;
            match read.filled() {
                [] => return Poll::Ready(Ok(())),
                came => lent.ahead.extend_from_slice(came),
            }
        }
        Poll::Pending
    }

    /// Sends what there is of an answer: whoever looks at the client has nothing to add now.
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.unsent.is_empty() {
            true => Poll::Ready(Ok(())),
            false => Pin::new(self).poll_flush(cx),
        }
    }

    /// Whether a client that sends no more has left.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let since = *self.finished.get_or_insert_with(Instant::now);
        self.head
            .alarm
            .poll(cx, since + HALF_CLOSED_SILENCE)
            .map(Ok)
    }

    /// Waits for the client's end while its request waits.
    fn poll_held(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.lent {
            Some(_) => self.poll_ahead(cx),
            None => Pin::new(&mut self.inner).poll_read(cx, buf),
        }
    }

    /// Reads what is sent ahead, and tells no end: the answer is awaited, whoever is there then.
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
        if let Some(lent) = &mut self.lent
            && !lent.ahead.is_empty()
        {
            let count = lent.ahead.len().min(buf.remaining());
            buf.put_slice(&lent.ahead.split_to(count));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }

    /// Whether a client that takes nothing has had its time.
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
                if let Some(finished) = &mut self.finished
                    && count > 0
                {
                    *finished = Instant::now();
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

/// Empty lines begin no request: some clients send one behind a body.
fn behind_empty_lines(came: &[u8]) -> &[u8] {
    let blank = came.iter().take_while(|byte| b"\r\n".contains(byte));
    &came[blank.count()..]
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(until) = this.leaves {
            return this.poll_leaving(cx, buf, until);
        }
        match this.connection.phase() {
            phase @ (Phase::Idle | Phase::Head) => this.poll_head(cx, buf, phase),
            Phase::Body => this.poll_body(cx, buf),
            Phase::Answer => this.poll_answer(cx, buf),
            Phase::Tunnel => this.poll_tunnel(cx, buf),
            Phase::Held => this.poll_held(cx, buf),
            Phase::Owed => this.poll_owed(cx, buf),
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if matches!(this.connection.phase(), Phase::Idle | Phase::Head) {
            // No hook has seen the request yet: the parser refuses it, and in its own words.
            let own = match this.has_too_many_lines() {
                true => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                false => words::status_of(buf),
            };
            let own = words::of(own);
            let said = ready!(Pin::new(&mut this.inner).poll_write(cx, &own));
            this.connection.enter(Phase::Answer);
            return Poll::Ready(said.map(|_| buf.len()));
        }
        let polled = this
            .unsent
            .poll_write(cx, &mut this.inner, &[IoSlice::new(buf)]);
        this.poll_taken(cx, polled, |count| *count)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
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
        if matches!(this.connection.phase(), Phase::Idle | Phase::Head) {
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

/// What was said last is not lost because nobody waited for it to go.
impl Drop for Guarded {
    fn drop(&mut self) {
        if !self.unsent.is_empty() {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = self.unsent.poll_send(&mut cx, &mut self.inner);
        }
    }
}
