//! Sending a plain request to a replica, and reading the head of its answer.

use super::asker::Asker;
use super::client::poll_read;
use super::upload::{Upload, Waits};
use crate::proxy::http1::body::Body;
use crate::proxy::http1::fields::has_token;
use crate::proxy::http1::head::{self, Spelling};
use crate::proxy::request::retry::Reach;
use crate::proxy::upstream::link::{ANSWER_BYTES, Link};
use crate::service::replica::idle_pool::Use;
use bytes::BytesMut;
use http::{Version, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::time::{Instant, timeout};

/// What a longer body is read with.
pub const BODY_BYTES: usize = 64 << 10;
/// A replica's head is no longer.
pub const ANSWER_HEAD_MAX: usize = 1 << 20;

/// How long a replica may take.
#[derive(Clone, Copy, Default)]
pub struct Patience {
    /// To say something.
    pub read: Duration,
    /// To take a part of the request.
    pub write: Duration,
}

/// A request as it goes to a replica, without the body that is still with the client.
pub struct Request {
    pub bytes: BytesMut,
    /// The length of its head.
    pub head: usize,
    pub used: Use,
}

/// Whether another request may follow on a replica's connection.
pub fn stays(answer: &ResponseHeader, body: &Body) -> bool {
    let says = |option| has_token(&answer.headers, header::CONNECTION, option);
    match (body, answer.version) {
        (Body::Close, _) => false,
        (_, Version::HTTP_11) => !says("close"),
        // RFC 9112 §6.1: one who frames this way and knows no chunks is not to be trusted.
        (Body::Chunked(_), _) => false,
        _ => says("keep-alive") && !says("close"),
    }
}

/// Writes a request to a replica, which takes each part `within` that time. Returns whether it
/// took all of it; if not, it has something to say already.
pub async fn send(
    link: &mut Link,
    request: &Request,
    within: Duration,
    reach: &mut Reach,
) -> Result<bool> {
    let what = "writing a request";
    let broke = |error| Error::because(ErrorType::WriteError, what, error).into_up();
    let mut rest = &request.bytes[..];
    loop {
        match link.stream.try_write(rest) {
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
                let ready = match timeout(within, link.stream.ready(interest)).await {
                    Ok(ready) => ready.map_err(broke)?,
                    Err(_) => return Err(Error::explain(ErrorType::WriteTimedout, what).into_up()),
                };
                if ready.is_readable() {
                    link.inbox.reserve(ANSWER_BYTES);
                    match link.stream.try_read_buf(&mut link.inbox) {
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

/// Reads the head of an answer while the request's body goes up.
pub async fn hear_head<A: Asker>(
    asker: &mut A,
    link: &mut Link,
    upload: &mut Upload,
    patience: Patience,
    room: usize,
) -> Result<(ResponseHeader, Spelling)> {
    let mut growing = head::Growing::default();
    loop {
        if !link.inbox.is_empty() && growing.is_worth_parsing(&link.inbox) {
            match head::response(&mut link.inbox, room) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                Err(error) => {
                    let what = "an answer that is not HTTP";
                    let cause = Error::because(ErrorType::InvalidHTTPHeader, what, error);
                    return Err(cause.into_up());
                }
            }
        }
        if link.inbox.len() > ANSWER_HEAD_MAX {
            return Err(broken("an answer with too large a head"));
        }
        link.inbox.reserve(ANSWER_BYTES);
        if hear(asker, link, upload, patience).await? == 0 {
            let what = "the replica closed the connection before it answered";
            return Err(Error::explain(ErrorType::ConnectionClosed, what).into_up());
        }
    }
}

/// Reads more from a replica while the request's body goes up. Fails when the client leaves
/// before.
pub async fn hear<A: Asker>(
    asker: &mut A,
    link: &mut Link,
    upload: &mut Upload,
    patience: Patience,
) -> Result<usize> {
    let (mut due, mut moved) = (None, upload.written);
    poll_fn(|cx| {
        if let Poll::Ready(read) = poll_read(&mut link.stream, &mut link.inbox, cx) {
            return Poll::Ready(read.map_err(|error| {
                Error::because(ErrorType::ReadError, "reading an answer", error).into_up()
            }));
        }
        let mut within = patience.read;
        if upload.is_under_way() {
            let waits = upload.poll(cx, asker, &mut link.stream)?;
            if std::mem::replace(&mut moved, upload.written) != upload.written {
                due = None;
            }
            match waits {
                // The stream below knows how long the client may take.
                Waits::Client => return Poll::Pending,
                Waits::Replica => within = patience.write,
                Waits::Nobody => {}
            }
        }
        if !upload.is_under_way()
            && upload.is_read()
            && let Poll::Ready(left) = asker.poll_left(cx)
        {
            return Poll::Ready(Err(left));
        }
        let due = *due.get_or_insert_with(|| Instant::now() + within);
        ready!(asker.poll_due(cx, due));
        let (kind, what) = match upload.is_under_way() {
            true => (ErrorType::WriteTimedout, "writing a request"),
            false => (ErrorType::ReadTimedout, "waiting for an answer"),
        };
        Poll::Ready(Err(Error::explain(kind, what).into_up()))
    })
    .await
}

pub fn broken(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}
