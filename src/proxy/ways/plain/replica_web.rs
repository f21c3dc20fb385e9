//! A replica of gRPC, for a client that speaks gRPC-web: the same messages, with the trailers
//! behind them in the body, and in base64 where the client wants that.

use super::answerer::Answerer;
use super::replica_h2::H2Replica;
use crate::proxy::http1::head::Spelling;
use crate::proxy::request::grpc::{self, Dialect};
use crate::proxy::request::grpc_web::{Decoder, encoded, trailer_frame};
use crate::proxy::request::retry::Reach;
use crate::service::replica::lease::Lease;
use bytes::Bytes;
use http::{HeaderMap, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

pub struct WebReplica<'a> {
    pub inner: H2Replica<'a>,
    dialect: Dialect,
    decoder: Decoder,
    /// The first piece of the request's body, decoded, as far as the replica has not taken it.
    decoded: Option<VecDeque<Bytes>>,
    is_request_broken: bool,
    /// Trailers that came in the head, because there is nothing else.
    early: HeaderMap,
    /// The frame with the trailers is due, or was given.
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Due,
    Given,
    /// The answer is not gRPC, and stays as it is.
    Foreign,
}

impl<'a> WebReplica<'a> {
    pub fn new(inner: H2Replica<'a>, dialect: Dialect) -> WebReplica<'a> {
        WebReplica {
            inner,
            dialect,
            decoder: Decoder::default(),
            decoded: None,
            is_request_broken: false,
            early: HeaderMap::new(),
            state: State::Due,
        }
    }

    fn translate(&mut self, head: &mut ResponseHeader) -> Result<()> {
        let is_grpc = Dialect::of(&head.headers) == Some(Dialect::Native);
        let Some(content_type) = head.headers.get(header::CONTENT_TYPE).filter(|_| is_grpc) else {
            self.state = State::Foreign;
            return Ok(());
        };
        let content_type = Dialect::Native.translated(content_type, self.dialect);
        head.insert_header(header::CONTENT_TYPE, content_type)?;
        head.remove_header(&header::CONTENT_LENGTH);
        head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        for name in [grpc::STATUS, grpc::MESSAGE] {
            if let Some(value) = head.headers.get(&name) {
                self.early.insert(name, value.clone());
            }
        }
        Ok(())
    }
}

impl Answerer for WebReplica<'_> {
    const TAKES_CHUNKS: bool = false;

    fn note(&mut self, lease: &mut Lease) -> bool {
        self.inner.note(lease)
    }

    async fn send(&mut self, ends: bool, within: Duration, reach: &mut Reach) -> Result<bool> {
        self.inner.send(ends, within, reach).await
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>> {
        if self.dialect != Dialect::WebText {
            return self.inner.poll_take(cx, body);
        }
        if self.decoded.is_none()
            && let Some(piece) = body.front()
        {
            let Ok(decoded) = self.decoder.piece(piece) else {
                self.is_request_broken = true;
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            };
            let is_something = !decoded.is_empty();
            self.decoded = Some(is_something.then_some(decoded).into_iter().collect());
        }
        let mut count = 0;
        if let Some(decoded) = &mut self.decoded {
            if !decoded.is_empty() {
                count = ready!(self.inner.poll_take(cx, decoded))?;
            }
            if decoded.is_empty() {
                self.decoded = None;
                body.pop_front();
            }
        }
        Poll::Ready(Ok(count))
    }

    fn end(&mut self, _trailers: &HeaderMap) {
        match self.decoder.is_whole() {
            true => self.inner.end(&HeaderMap::new()),
            false => self.is_request_broken = true,
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<()>> {
        if self.is_request_broken {
            let what = "a body of gRPC-web that is not base64";
            let broken = Error::explain(ErrorType::InvalidHTTPHeader, what);
            return Poll::Ready(Err(broken.into_down()));
        }
        self.inner.poll_more(cx, most)
    }

    fn head(&mut self, room: usize) -> Result<Option<(ResponseHeader, Spelling)>> {
        let mut found = self.inner.head(room)?;
        if let Some((head, _)) = &mut found
            && !head.status.is_informational()
        {
            self.translate(head)?;
        }
        Ok(found)
    }

    fn piece(&mut self) -> Result<Option<Bytes>> {
        if let Some(piece) = self.inner.piece()? {
            return Ok(Some(match self.state {
                State::Foreign => piece,
                _ => encoded(piece, self.dialect),
            }));
        }
        if !self.inner.is_over() || self.state != State::Due {
            return Ok(None);
        }
        self.state = State::Given;
        let mut trailers = std::mem::take(&mut self.early);
        trailers.extend(self.inner.trailers());
        Ok(Some(encoded(trailer_frame(&trailers), self.dialect)))
    }

    fn is_over(&self) -> bool {
        self.inner.is_over() && self.state != State::Due
    }

    fn trailers(&mut self) -> HeaderMap {
        match self.state {
            State::Foreign => self.inner.trailers(),
            _ => HeaderMap::new(),
        }
    }
}
