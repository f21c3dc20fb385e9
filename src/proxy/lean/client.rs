//! A client's connection, between requests and while it waits for an answer.

use super::head;
use crate::proxy::connection::{Alarm, Connection, Guarded, Phase};
use bytes::{Bytes, BytesMut};
use futures_util::poll;
use pingora::{Error, ErrorType, Result};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// What a head is read with at first; most have room in it.
const HEAD_BYTES: usize = 4 << 10;
/// What a client may send ahead while it is answered; more stays with the kernel.
const AHEAD_MAX: usize = 64 << 10;

pub struct Client {
    pub stream: Box<Guarded>,
    pub connection: Arc<Connection>,
    /// What came and nobody has read yet.
    pub inbox: BytesMut,
    /// Rings when it is silent between requests.
    silence: Alarm,
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

impl Client {
    pub fn new(stream: Box<Guarded>) -> Client {
        Client {
            connection: Arc::clone(stream.connection()),
            stream,
            inbox: BytesMut::new(),
            silence: Alarm::default(),
            patience: Alarm::default(),
        }
    }

    /// Waits for the head of the next request, for `keepalive` until it begins.
    pub async fn next(&mut self, keepalive: Duration) -> Arrived {
        if !self.inbox.is_empty() {
            self.stream.begin_with(&self.inbox);
        }
        let due = Instant::now() + keepalive;
        let (mut searched, mut tried) = (0, 0);
        loop {
            if self.inbox.len() > searched {
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
            match self.read_more(due).await {
                Some(Ok(count)) if count > 0 => {}
                _ => return Arrived::Nothing,
            }
        }
    }

    /// `None`: nothing came between two requests.
    async fn read_more(&mut self, due: Instant) -> Option<io::Result<usize>> {
        self.inbox.reserve(HEAD_BYTES);
        let Client {
            stream,
            connection,
            inbox,
            silence,
            ..
        } = self;
        poll_fn(|cx| {
            let polled = poll_read(stream, inbox, cx);
            if polled.is_pending() && connection.phase() == Phase::Idle {
                ready!(silence.poll(cx, due));
                return Poll::Ready(None);
            }
            polled.map(Some)
        })
        .await
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

    /// Writes a piece of an answer, which the client takes `within` that time.
    pub async fn write(&mut self, bytes: &[u8], within: Duration) -> Result<()> {
        let mut written = pin!(async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        });
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
                self.inbox.reserve(HEAD_BYTES);
                match poll_read(&mut self.stream, &mut self.inbox, cx) {
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

    /// Ends the connection in order.
    pub async fn close(mut self) {
        let _ = self.stream.shutdown().await;
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
