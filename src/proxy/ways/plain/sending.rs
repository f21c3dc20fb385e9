//! Sending the head of a request to a replica that speaks HTTP/1, and what of the body is there.

use crate::proxy::buffers::{MORE_BYTES, poll_fill};
use crate::proxy::request::retry::Reach;
use crate::proxy::upstream::link::Link;
use crate::service::replica::idle_pool::Use;
use crate::service::replica::stream::ReplicaStream;
use bytes::BytesMut;
use pingora::{Error, ErrorType, Result};
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

const WRITING: &str = "writing a request";

/// A request as it goes to a replica, without the part of its body that is still with the client.
pub struct Request {
    pub head: BytesMut,
    pub body: BytesMut,
    pub used: Use,
}

/// Writes a request to a replica, which takes each part `within` that time. Returns whether it
/// took all of it; if not, it has something to say already.
pub async fn send(
    link: &mut Link,
    request: &Request,
    within: Duration,
    reach: &mut Reach,
) -> Result<bool> {
    let inbox = &mut link.inbox;
    match &mut link.stream {
        ReplicaStream::Clear(stream) => send_clear(stream, inbox, request, within, reach).await,
        ReplicaStream::Secured(stream) => send_secured(stream, inbox, request, within, reach).await,
    }
}

async fn send_clear(
    stream: &TcpStream,
    inbox: &mut BytesMut,
    request: &Request,
    within: Duration,
    reach: &mut Reach,
) -> Result<bool> {
    let mut rest = Rest::of(request);
    loop {
        let written = match rest.only() {
            Some(part) => stream.try_write(part),
            None => stream.try_write_vectored(&rest.parts()),
        };
        match written {
            Ok(count) => {
                rest.advance(count, reach);
                if rest.is_empty() {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let interest = match *reach == Reach::Sent {
                    true => Interest::READABLE | Interest::WRITABLE,
                    false => Interest::WRITABLE,
                };
                let ready = match timeout(within, stream.ready(interest)).await {
                    Ok(ready) => ready.map_err(broke)?,
                    Err(_) => return Err(too_slow()),
                };
                if ready.is_readable() {
                    inbox.reserve(MORE_BYTES);
                    match stream.try_read_buf(inbox) {
                        Ok(_) => return Ok(false),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(error) => return Err(broke(error)),
                    }
                }
            }
            Err(error) => return Err(broke(error)),
        }
    }
}

/// The same above TLS, which holds back what the socket does not take.
async fn send_secured(
    stream: &mut TlsStream<TcpStream>,
    inbox: &mut BytesMut,
    request: &Request,
    within: Duration,
    reach: &mut Reach,
) -> Result<bool> {
    let mut rest = Rest::of(request);
    loop {
        let moved = poll_fn(|cx| {
            let written = match rest.is_empty() {
                false => Pin::new(&mut *stream)
                    .poll_write_vectored(cx, &rest.parts())
                    .map_ok(Some),
                true => Pin::new(&mut *stream).poll_flush(cx).map_ok(|()| None),
            };
            match written {
                Poll::Ready(written) => return Poll::Ready(written.map(Moved::Written)),
                Poll::Pending if *reach == Reach::Sent => {}
                Poll::Pending => return Poll::Pending,
            }
            let read = ready!(poll_fill(&mut *stream, inbox, MORE_BYTES, cx));
            Poll::Ready(read.map(|_| Moved::Heard))
        });
        match timeout(within, moved).await {
            Ok(Ok(Moved::Written(Some(count)))) => {
                // Bytes that TLS holds back may leave at any time.
                rest.advance(count, reach);
            }
            Ok(Ok(Moved::Written(None))) => return Ok(true),
            Ok(Ok(Moved::Heard)) => return Ok(false),
            Ok(Err(error)) => return Err(broke(error)),
            Err(_) => return Err(too_slow()),
        }
    }
}

/// The part of a request that was not written yet.
struct Rest<'a> {
    head: &'a [u8],
    body: &'a [u8],
}

impl<'a> Rest<'a> {
    fn of(request: &'a Request) -> Rest<'a> {
        Rest {
            head: &request.head,
            body: &request.body,
        }
    }

    fn is_empty(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }

    /// All of it, if that is in one place.
    fn only(&self) -> Option<&'a [u8]> {
        match (self.head, self.body) {
            (part, []) | ([], part) => Some(part),
            _ => None,
        }
    }

    fn parts(&self) -> [IoSlice<'a>; 2] {
        [self.head, self.body].map(IoSlice::new)
    }

    /// Before the end of its head has left, no request was made.
    fn advance(&mut self, count: usize, reach: &mut Reach) {
        let of_head = count.min(self.head.len());
        self.head = &self.head[of_head..];
        self.body = &self.body[count - of_head..];
        if self.head.is_empty() {
            *reach = Reach::Sent;
        }
    }
}

/// Outcome of sending on a connection.
enum Moved {
    /// So much was written, or everything has left.
    Written(Option<usize>),
    /// The replica has said something.
    Heard,
}

fn broke(error: io::Error) -> Box<Error> {
    Error::because(ErrorType::WriteError, WRITING, error).into_up()
}

fn too_slow() -> Box<Error> {
    Error::explain(ErrorType::WriteTimedout, WRITING).into_up()
}
