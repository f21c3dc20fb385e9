//! A replica that speaks HTTP/1.

use super::answerer::Answerer;
use super::sending::{Request, send};
use crate::proxy::buffers::{self, MORE_BYTES, poll_fill_up_to};
use crate::proxy::http1::body::Body;
use crate::proxy::http1::fields::has_token;
use crate::proxy::http1::head::{self, Spelling};
use crate::proxy::request::retry::Reach;
use crate::proxy::upstream::link::Link;
use crate::service::replica::idle_pool::Use;
use crate::service::replica::lease::Lease;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Version, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// A replica's head is no longer.
const ANSWER_HEAD_MAX: usize = 1 << 20;
/// Parts that are written at once.
const PARTS_MAX: usize = 8;

pub struct Http1Replica<'a> {
    link: Link,
    request: &'a Request,
    /// The request is a HEAD.
    to_head: bool,
    growing: head::Growing,
    /// `None`: the final head has not come yet.
    body: Option<Body>,
    trailers: HeaderMap,
    /// The replica keeps its connection.
    stays: bool,
    /// Nothing of the request waits in this process.
    is_flushed: bool,
}

impl<'a> Http1Replica<'a> {
    pub fn new(link: Link, request: &'a Request, to_head: bool) -> Http1Replica<'a> {
        Http1Replica {
            link,
            request,
            to_head,
            growing: head::Growing::default(),
            body: None,
            trailers: HeaderMap::new(),
            stays: false,
            is_flushed: true,
        }
    }

    /// Whether a request was on the connection before.
    pub fn was_used(&self) -> bool {
        self.link.is_used
    }

    /// The connection, with what came behind the answer's head.
    pub fn into_link(self) -> Link {
        self.link
    }

    /// Keeps the connection for another request, if there may be one.
    pub fn keep(self, lease: &mut Lease) {
        if self.is_over() && self.stays && self.link.inbox.is_empty() {
            buffers::give_back(self.link.inbox);
            lease.keep(self.link.stream);
        }
    }
}

impl Answerer for Http1Replica<'_> {
    const TAKES_CHUNKS: bool = true;

    fn note(&mut self, lease: &mut Lease) -> bool {
        let may_go_elsewhere = self.request.used == Use::MayBeRepeated;
        lease.sends_on(self.link.stream.as_raw_fd(), may_go_elsewhere)
    }

    async fn send(&mut self, _ends: bool, within: Duration, reach: &mut Reach) -> Result<bool> {
        send(&mut self.link, self.request, within, reach).await
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>> {
        let mut parts = [IoSlice::new(&[]); PARTS_MAX];
        let mut count = 0;
        for (part, bytes) in parts.iter_mut().zip(&*body) {
            *part = IoSlice::new(bytes);
            count += 1;
        }
        let stream = Pin::new(&mut self.link.stream);
        let written = ready!(stream.poll_write_vectored(cx, &parts[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(ErrorKind::WriteZero.into()));
        }
        self.is_flushed = false;
        let mut taken = written;
        while let Some(first) = body.front_mut() {
            if taken < first.len() {
                first.advance(taken);
                break;
            }
            taken -= first.len();
            body.pop_front();
        }
        Poll::Ready(Ok(written))
    }

    fn end(&mut self, _trailers: &HeaderMap) {}

    fn poll_more(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<()>> {
        self.poll_flush(cx);
        let link = &mut self.link;
        let read = poll_fill_up_to(most, &mut link.stream, &mut link.inbox, MORE_BYTES, cx);
        let read = ready!(read);
        let read = read.map_err(|error| {
            Error::because(ErrorType::ReadError, "reading an answer", error).into_up()
        })?;
        if read > 0 {
            return Poll::Ready(Ok(()));
        }
        let what = match &mut self.body {
            Some(body @ Body::Close) => {
                *body = Body::Over;
                return Poll::Ready(Ok(()));
            }
            Some(_) => "the answer ended before its body did",
            None => "the replica closed the connection before it answered",
        };
        Poll::Ready(Err(
            Error::explain(ErrorType::ConnectionClosed, what).into_up()
        ))
    }

    fn head(&mut self, room: usize) -> Result<Option<(ResponseHeader, Spelling)>> {
        let inbox = &mut self.link.inbox;
        if !inbox.is_empty() && self.growing.is_worth_parsing(inbox) {
            let parsed = head::response(inbox, room).map_err(|error| {
                let what = "an answer that is not HTTP";
                Error::because(ErrorType::InvalidHTTPHeader, what, error).into_up()
            })?;
            if let Some((mut answer, spelling)) = parsed {
                self.growing = head::Growing::default();
                if !answer.status.is_informational() {
                    self.begin_body(&mut answer)?;
                }
                return Ok(Some((answer, spelling)));
            }
        }
        match inbox.len() > ANSWER_HEAD_MAX {
            true => Err(broken("an answer with too large a head")),
            false => Ok(None),
        }
    }

    fn piece(&mut self) -> Result<Option<Bytes>> {
        match &mut self.body {
            Some(body) => body
                .take(&mut self.link.inbox, &mut self.trailers)
                .map_err(broken),
            None => Ok(None),
        }
    }

    fn is_over(&self) -> bool {
        self.body == Some(Body::Over)
    }

    fn trailers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.trailers)
    }
}

impl Http1Replica<'_> {
    /// Sends what TLS holds back; TCP holds nothing back.
    fn poll_flush(&mut self, cx: &mut Context<'_>) {
        if !self.is_flushed && Pin::new(&mut self.link.stream).poll_flush(cx).is_ready() {
            // Reading shows what broke.
            self.is_flushed = true;
        }
    }

    fn begin_body(&mut self, answer: &mut ResponseHeader) -> Result<()> {
        let body = Body::of(answer, self.to_head);
        self.stays = stays(answer, &body);
        if body == Body::Close && answer.headers.get(header::TRANSFER_ENCODING).is_none() {
            // The body ends with the replica's connection, and the client's may not look the same
            // when that breaks.
            answer.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        self.body = Some(body);
        Ok(())
    }
}

/// Whether another request may follow on a replica's connection.
fn stays(answer: &ResponseHeader, body: &Body) -> bool {
    let says = |option| has_token(&answer.headers, header::CONNECTION, option);
    match (body, answer.version) {
        (Body::Close, _) => false,
        (_, Version::HTTP_11) => !says("close"),
        // RFC 9112 §6.1: one who frames this way and knows no chunks is not to be trusted.
        (Body::Chunked(_), _) => false,
        _ => says("keep-alive") && !says("close"),
    }
}

fn broken(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}
