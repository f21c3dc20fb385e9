//! A client's connection, between requests and while it waits for an answer.

use crate::proxy::buffers::{self, MORE_BYTES, poll_fill};
use crate::proxy::door::{AHEAD_MAX, Alarm, Connection, Guarded, Phase, words};
use crate::proxy::http1::head;
use crate::proxy::request::caller::{self, Caller, Held};
use crate::proxy::ways::preface;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::poll;
use http::StatusCode;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use pingora::{Error, ErrorType, Result};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::time::{Instant, timeout};

/// Parts that are shorter altogether are written one by one, as the stream below would keep them.
pub const TOGETHER_BYTES: usize = 16 << 10;
/// Empty lines before a request, which are skipped; some clients send one behind a body.
const EMPTY_LINES_MAX: usize = 16;
/// The rest of a refused upload is read this long, so that the client sees the answer and not a
/// reset.
pub const REFUSED_BODY_DRAIN: Duration = Duration::from_secs(2);

pub struct Client {
    pub stream: Box<Guarded>,
    pub connection: Arc<Connection>,
    /// Bytes that came and were not read yet.
    pub inbox: BytesMut,
    /// Rings when the replica is silent.
    patience: Alarm,
    /// Whether a request has been on it.
    pub is_used: bool,
}

/// Result of waiting for a request.
pub enum Arrived {
    /// A head of this length.
    Head(usize),
    /// The preface of HTTP/2.
    Preface,
    /// Something that is not read here.
    Other,
    Nothing,
}

/// The next turn of a connection.
pub enum Next {
    /// Another plain request, if one comes.
    Plain,
    /// A request that is not plain, in the inbox.
    Other,
    /// Nothing: it is over, and so much of a body is left unread.
    End(usize),
}

impl Client {
    /// `inbox` came already.
    pub fn new(stream: Box<Guarded>, inbox: BytesMut) -> Client {
        Client {
            connection: Arc::clone(stream.connection()),
            stream,
            inbox,
            patience: Alarm::default(),
            is_used: false,
        }
    }

    /// Waits for the head of the next request.
    pub async fn next(&mut self) -> Arrived {
        let mut empty_lines = self.skip_empty_lines();
        match self.inbox.is_empty() {
            true => buffers::give_back(std::mem::take(&mut self.inbox)),
            false => self.stream.begin_with(&self.inbox),
        }
        let (mut searched, mut tried) = (0, 0);
        loop {
            empty_lines += self.skip_empty_lines();
            if empty_lines > EMPTY_LINES_MAX {
                return Arrived::Nothing;
            }
            if !self.is_used && preface::may_be(&self.inbox) {
                if self.inbox.len() >= preface::BYTES {
                    return Arrived::Preface;
                }
            } else if self.inbox.len() > searched && self.inbox[..] != b"\r"[..] {
                if let Some(end) = head::end(&self.inbox, searched) {
                    return Arrived::Head(end);
                }
                searched = self.inbox.len();
                // Trying each time would take time that grows with the square of a head that
                // comes byte by byte.
                if searched >= 2 * tried {
                    tried = searched;
                    if !head::may_become_one(&self.inbox) {
                        return Arrived::Other;
                    }
                }
            }
            match poll_fn(|cx| self.poll_more(cx, MORE_BYTES)).await {
                Ok(count) if count > 0 => {}
                _ => return Arrived::Nothing,
            }
        }
    }

    fn skip_empty_lines(&mut self) -> usize {
        let mut lines = 0;
        while self.inbox.starts_with(b"\r\n") {
            self.inbox.advance(2);
            lines += 1;
        }
        lines
    }

    /// Reads what is there: a head, and mostly the whole of a short body. Behind bytes that came
    /// before, there is so much room.
    pub fn poll_more(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        poll_fill(&mut self.stream, &mut self.inbox, room, cx)
    }

    /// Takes a head out of the inbox.
    pub fn take(&mut self, length: usize) -> Bytes {
        self.is_used = true;
        buffers::take_out(&mut self.inbox, length)
    }

    /// Puts a head back.
    pub fn give_back(&mut self, head: Bytes) {
        let behind = std::mem::replace(&mut self.inbox, BytesMut::from(head));
        self.inbox.unsplit(behind);
    }

    /// Writes a piece of an answer, which the client takes `within` that time.
    pub async fn write(&mut self, bytes: &[u8], within: Duration) -> Result<()> {
        self.write_all([bytes, &[], &[]], within).await
    }

    /// The same of three parts at once.
    pub async fn write_all(&mut self, parts: [&[u8]; 3], within: Duration) -> Result<()> {
        let mut written = pin!(send(&mut self.stream, parts));
        // Nearly always there is room, and then no clock is needed.
        let written = match poll!(&mut written) {
            Poll::Ready(written) => Ok(written),
            Poll::Pending => timeout(within, written).await,
        };
        let what = "writing to the client";
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::because(ErrorType::WriteError, what, error).into_down()),
            Err(_) => Err(Error::explain(ErrorType::WriteTimedout, what).into_down()),
        }
    }

    /// Keeps what the client sends ahead while it is answered. Fails when it leaves.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        while self.inbox.len() < AHEAD_MAX {
            match ready!(self.poll_more(cx, MORE_BYTES)) {
                Ok(count) if count > 0 => {}
                Ok(_) => {
                    let what = "the client left before it was answered";
                    let left = Error::explain(ErrorType::ConnectionClosed, what);
                    return Poll::Ready(left.into_down());
                }
                Err(error) => {
                    let what = "while the client waited for its answer";
                    let broke = Error::because(ErrorType::ReadError, what, error);
                    return Poll::Ready(broke.into_down());
                }
            }
        }
        Poll::Pending
    }

    /// Rings at `due`.
    pub fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        self.patience.poll(cx, due)
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.inbox.len() < AHEAD_MAX {
            match ready!(self.poll_more(cx, MORE_BYTES)) {
                Ok(count) if count > 0 => {}
                _ => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }

    /// Refuses what has no reading, and whatever may come behind it.
    pub async fn refuse(mut self, status: StatusCode) {
        self.connection.enter(Phase::Answer);
        let _ = self.write(&words::of(status), REFUSED_BODY_DRAIN).await;
        self.close(AHEAD_MAX).await;
    }

    /// Ends the connection in order. `unread` of a body is read first, so that the client sees its
    /// answer and not a reset.
    pub async fn close(mut self, unread: usize) {
        let _ = self.stream.shutdown().await;
        if unread > 0 {
            let mut rest = (&mut self.stream).take(unread as u64);
            let _ = timeout(REFUSED_BODY_DRAIN, copy(&mut rest, &mut sink())).await;
        }
    }
}

impl Caller for Client {
    async fn left(&mut self) -> Box<Error> {
        let _held = Held::on(Arc::clone(&self.connection));
        poll_fn(|cx| self.poll_left(cx)).await;
        caller::gone()
    }

    fn socket(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}

/// Writes parts of an answer, together where that is worth it.
async fn send(stream: &mut Guarded, mut parts: [&[u8]; 3]) -> io::Result<()> {
    loop {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total < TOGETHER_BYTES {
            break;
        }
        let slices = parts.map(IoSlice::new);
        let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write_vectored(cx, &slices));
        let mut written = written.await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        for part in &mut parts {
            let count = written.min(part.len());
            *part = &part[count..];
            written -= count;
        }
    }
    for part in parts {
        stream.send(part).await?;
    }
    Ok(())
}
