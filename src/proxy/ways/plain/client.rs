//! A client's connection, between requests and while it waits for an answer.

use crate::proxy::door::{AHEAD_MAX, Alarm, Connection, Guarded, Phase, words};
use crate::proxy::http1::fields::content_length;
use crate::proxy::http1::head;
use crate::proxy::request::caller::{self, Caller, Held};
use crate::proxy::request::filters::Asking;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::poll;
use http::StatusCode;
use pingora::http::RequestHeader;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use pingora::{Error, ErrorType, Result};
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf, copy, sink};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// What is read at once of a client: a head, and mostly the whole of a short body. A read that
/// leaves room tells the runtime that nothing more is there, which spares the next one.
const READ_BYTES: usize = 16 << 10;
/// Empty lines before a request, which are skipped; some clients send one behind a body.
const EMPTY_LINES_MAX: usize = 16;
/// What is left of a refused upload is read this long, so that the client sees the answer and
/// not a reset.
pub const REFUSED_BODY_DRAIN: Duration = Duration::from_secs(2);

pub struct Client {
    pub stream: Box<Guarded>,
    pub connection: Arc<Connection>,
    /// What came and nobody has read yet.
    pub inbox: BytesMut,
    /// Rings when the replica is silent.
    patience: Alarm,
}

/// What came of waiting for a request.
pub enum Arrived {
    /// A head of this length.
    Head(usize),
    /// Something that is not read here.
    Other,
    Nothing,
}

/// What is next on a connection.
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
        }
    }

    /// Waits for the head of the next request.
    pub async fn next(&mut self) -> Arrived {
        let mut empty_lines = self.skip_empty_lines();
        match self.inbox.is_empty() {
            true => self.inbox = BytesMut::new(),
            false => self.stream.begin_with(&self.inbox),
        }
        let (mut searched, mut tried) = (0, 0);
        loop {
            empty_lines += self.skip_empty_lines();
            if empty_lines > EMPTY_LINES_MAX {
                return Arrived::Nothing;
            }
            if self.inbox.len() > searched && self.inbox[..] != b"\r"[..] {
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
            match self.read_more().await {
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

    /// Reads what is there, by way of the stack: while there is nothing, nothing is kept for it.
    async fn read_more(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_more(cx)).await
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [const { MaybeUninit::uninit() }; READ_BYTES];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        self.inbox.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Takes a head out of the inbox.
    pub fn take(&mut self, length: usize) -> Bytes {
        self.inbox.split_to(length).freeze()
    }

    /// Puts a head back.
    pub fn give_back(&mut self, head: Bytes) {
        let behind = std::mem::replace(&mut self.inbox, BytesMut::from(head));
        self.inbox.unsplit(behind);
    }

    /// Takes the body of a request, of which each piece comes `within` that time.
    pub async fn body(&mut self, length: usize, within: Duration) -> Result<BytesMut> {
        self.fill(length, within).await?;
        Ok(self.inbox.split_to(length))
    }

    async fn fill(&mut self, length: usize, within: Duration) -> Result<()> {
        self.connection.enter(Phase::Body);
        let what = "reading a request's body";
        while self.inbox.len() < length {
            self.inbox.reserve(length - self.inbox.len());
            match timeout(within, self.stream.read_buf(&mut self.inbox)).await {
                Ok(Ok(count)) if count > 0 => {}
                Ok(Ok(_)) => {
                    return Err(Error::explain(ErrorType::ConnectionClosed, what).into_down());
                }
                Ok(Err(error)) => {
                    return Err(Error::because(ErrorType::ReadError, what, error).into_down());
                }
                Err(_) => return Err(Error::explain(ErrorType::ReadTimedout, what).into_down()),
            }
        }
        self.connection.enter(Phase::Answer);
        Ok(())
    }

    /// Writes a piece of an answer, which the client takes `within` that time.
    pub async fn write(&mut self, bytes: &[u8], within: Duration) -> Result<()> {
        let mut written = pin!(self.stream.send(bytes));
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

    /// Reads more from a replica, which may be silent for `patience`. Fails when the client
    /// leaves before.
    pub async fn hear(
        &mut self,
        replica: &mut TcpStream,
        heard: &mut BytesMut,
        patience: Duration,
    ) -> Result<usize> {
        let mut due = None;
        poll_fn(|cx| {
            if let Poll::Ready(read) = poll_read(replica, heard, cx) {
                return Poll::Ready(read.map_err(|error| {
                    Error::because(ErrorType::ReadError, "reading an answer", error).into_up()
                }));
            }
            while self.inbox.len() < AHEAD_MAX {
                match self.poll_more(cx) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Ready(Ok(_)) => {
                        let what = "the client left before it was answered";
                        let left = Error::explain(ErrorType::ConnectionClosed, what);
                        return Poll::Ready(Err(left.into_down()));
                    }
                    Poll::Ready(Err(error)) => {
                        let what = "while the client waited for its answer";
                        let broke = Error::because(ErrorType::ReadError, what, error);
                        return Poll::Ready(Err(broke.into_down()));
                    }
                    Poll::Pending => break,
                }
            }
            let due = *due.get_or_insert_with(|| Instant::now() + patience);
            ready!(self.patience.poll(cx, due));
            let what = "waiting for an answer";
            Poll::Ready(Err(Error::explain(ErrorType::ReadTimedout, what).into_up()))
        })
        .await
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.inbox.len() < AHEAD_MAX {
            match ready!(self.poll_more(cx)) {
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

impl Asking for Client {
    async fn peek_body(
        &mut self,
        head: &RequestHeader,
        max: usize,
        patience: Duration,
    ) -> Result<Option<Bytes>> {
        let length = content_length(head).unwrap_or(0);
        if length > max as u64 {
            return Ok(None);
        }
        let length = length as usize;
        self.fill(length, patience).await?;
        Ok(Some(Bytes::copy_from_slice(&self.inbox[..length])))
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

fn poll_read<R: AsyncRead + Unpin>(
    from: &mut R,
    into: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut read = pin!(from.read_buf(into));
    Pin::as_mut(&mut read).poll(cx)
}
