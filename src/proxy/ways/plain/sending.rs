//! Sending the head of a request to a replica that speaks HTTP/1, and what of the body is there.

use super::client::poll_read;
use super::replica::Request;
use crate::proxy::request::retry::Reach;
use crate::proxy::upstream::link::{ANSWER_BYTES, Link};
use crate::service::replica::stream::ReplicaStream;
use bytes::BytesMut;
use pingora::{Error, ErrorType, Result};
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

const WRITING: &str = "writing a request";

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
    let mut rest = &request.bytes[..];
    loop {
        match stream.try_write(rest) {
            Ok(count) => {
                rest = &rest[count..];
                // Before the end of its head has left, no request was made.
                if request.bytes.len() - rest.len() >= request.head {
                    *reach = Reach::Sent;
                }
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
                    inbox.reserve(ANSWER_BYTES);
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
    let mut rest = &request.bytes[..];
    loop {
        let moved = poll_fn(|cx| {
            let written = match rest.is_empty() {
                false => Pin::new(&mut *stream).poll_write(cx, rest).map_ok(Some),
                true => Pin::new(&mut *stream).poll_flush(cx).map_ok(|()| None),
            };
            match written {
                Poll::Ready(written) => return Poll::Ready(written.map(Moved::Written)),
                Poll::Pending if *reach == Reach::Sent => {}
                Poll::Pending => return Poll::Pending,
            }
            inbox.reserve(ANSWER_BYTES);
            let read = ready!(poll_read(&mut *stream, inbox, cx));
            Poll::Ready(read.map(|_| Moved::Heard))
        });
        match timeout(within, moved).await {
            Ok(Ok(Moved::Written(Some(count)))) => {
                rest = &rest[count..];
                // What TLS holds back may leave at any time.
                if request.bytes.len() - rest.len() >= request.head {
                    *reach = Reach::Sent;
                }
            }
            Ok(Ok(Moved::Written(None))) => return Ok(true),
            Ok(Ok(Moved::Heard)) => return Ok(false),
            Ok(Err(error)) => return Err(broke(error)),
            Err(_) => return Err(too_slow()),
        }
    }
}

/// What happened on a connection.
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
