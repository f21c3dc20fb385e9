//! A client that speaks HTTP/1.

use super::asker::Asker;
use super::client::{Client, TOGETHER_BYTES};
use crate::proxy::buffers::MORE_BYTES;
use crate::proxy::door::Phase;
use crate::proxy::http1::body::{Body, Framing};
use crate::proxy::http1::head::{self, Spelling};
use crate::proxy::request::caller::Caller;
use crate::proxy::request::filters::Asking;
use crate::proxy::upstream::link::ANSWER_BYTES;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::SocketDigest;
use pingora::protocols::http::date::get_cached_date;
use pingora::{Error, ErrorType, Result};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

pub struct Http1<'a> {
    pub client: &'a mut Client,
    /// The part of the request's body that was not read yet.
    pub body: Body,
    /// Fields behind the request's body.
    trailers: HeaderMap,
    /// A body that was read before a replica was asked.
    ahead: VecDeque<Bytes>,
    is_told_to_send: bool,
    /// Written soon.
    out: BytesMut,
    framing: Framing,
    status: StatusCode,
    pub said: Said,
    within: Duration,
}

/// The answer so far.
pub struct Said {
    pub status: Option<StatusCode>,
    pub body_bytes: u64,
    /// Whether another request may follow.
    pub keeps: bool,
    to_head: bool,
    /// HTTP/1.0 knows no chunks and no interim answers.
    is_old: bool,
}

impl<'a> Http1<'a> {
    pub fn new(
        client: &'a mut Client,
        request: &RequestHeader,
        keeps: bool,
        within: Duration,
    ) -> Http1<'a> {
        Http1 {
            client,
            body: Body::of_request(request),
            trailers: HeaderMap::new(),
            ahead: VecDeque::new(),
            is_told_to_send: false,
            out: BytesMut::new(),
            framing: Framing::Over,
            status: StatusCode::OK,
            said: Said {
                status: None,
                body_bytes: 0,
                keeps,
                to_head: request.method == Method::HEAD,
                is_old: request.version == Version::HTTP_10,
            },
            within,
        }
    }

    /// Bytes of the body that may still come, before the client sees the end of its connection.
    pub fn unread(&self) -> usize {
        let length = match self.body {
            Body::Over => 0,
            Body::Length(length) => usize::try_from(length).unwrap_or(usize::MAX),
            Body::Chunked(_) | Body::Close => usize::MAX,
        };
        length.saturating_sub(self.client.inbox.len())
    }

    /// Reads more of the body, with so much room for it.
    fn poll_some(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<Result<()>> {
        let what = "reading a request's body";
        Poll::Ready(match ready!(self.client.poll_more(cx, room)) {
            Ok(0) => Err(Error::explain(ErrorType::ConnectionClosed, what).into_down()),
            Ok(_) => Ok(()),
            Err(error) => Err(Error::because(ErrorType::ReadError, what, error).into_down()),
        })
    }

    /// Reads the body until its end, or until it has more than `max` bytes: false.
    async fn read_ahead(&mut self, max: usize) -> Result<bool> {
        let mut ahead = std::mem::take(&mut self.ahead);
        let mut length: usize = ahead.iter().map(Bytes::len).sum();
        self.enter(Phase::Body);
        while length <= max {
            let Some(piece) = poll_fn(|cx| self.poll_body(cx)).await? else {
                break;
            };
            length += piece.len();
            ahead.push_back(piece);
        }
        self.enter(Phase::Answer);
        self.ahead = ahead;
        Ok(length <= max)
    }
}

impl Caller for Http1<'_> {
    async fn left(&mut self) -> Box<Error> {
        self.client.left().await
    }

    fn socket(&self) -> Option<Arc<SocketDigest>> {
        self.client.socket()
    }
}

impl Asking for Http1<'_> {
    async fn peek_body(
        &mut self,
        head: &RequestHeader,
        max: usize,
        _patience: Duration,
    ) -> Result<Option<Bytes>> {
        if head.headers.contains_key(header::EXPECT) && !self.is_told_to_send {
            self.is_told_to_send = true;
            let told = b"HTTP/1.1 100 Continue\r\n\r\n";
            self.client.write(told, self.within).await?;
        }
        if !self.read_ahead(max).await? {
            return Ok(None);
        }
        let mut body = BytesMut::new();
        for piece in &self.ahead {
            body.extend_from_slice(piece);
        }
        Ok(Some(body.freeze()))
    }
}

impl Asker for Http1<'_> {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if let Some(piece) = self.ahead.pop_front() {
            return Poll::Ready(Ok(Some(piece)));
        }
        loop {
            let taken = self.body.take(&mut self.client.inbox, &mut self.trailers);
            let taken = taken
                .map_err(|broken| Error::explain(ErrorType::InvalidHTTPHeader, broken).into_down());
            match taken? {
                Some(piece) => return Poll::Ready(Ok(Some(piece))),
                None if self.body.is_over() => return Poll::Ready(Ok(None)),
                None => {}
            }
            ready!(self.poll_some(cx, MORE_BYTES))?;
        }
    }

    fn trailers(&mut self) -> HeaderMap {
        std::mem::take(&mut self.trailers)
    }

    /// Most bodies are in the inbox already, and stay where they are.
    async fn whole_body(&mut self, length: usize) -> Result<BytesMut> {
        if !self.ahead.is_empty() {
            let behind = std::mem::take(&mut self.client.inbox);
            self.client.inbox.reserve(length + behind.len());
            for piece in self.ahead.drain(..) {
                self.client.inbox.extend_from_slice(&piece);
            }
            self.client.inbox.extend_from_slice(&behind);
        }
        if self.client.inbox.len() < length {
            self.enter(Phase::Body);
            while self.client.inbox.len() < length {
                let room = length - self.client.inbox.len();
                poll_fn(|cx| self.poll_some(cx, room)).await?;
            }
            self.enter(Phase::Answer);
        }
        self.body = Body::Over;
        Ok(self.client.inbox.split_to(length))
    }

    /// A body that is not there yet ends the connection.
    fn skip_body(&mut self) {
        self.ahead.clear();
        match self.body {
            Body::Over => {}
            Body::Length(length) if length <= self.client.inbox.len() as u64 => {
                let _body = self.client.inbox.split_to(length as usize);
                self.body = Body::Over;
            }
            _ => self.end_connection(),
        }
    }

    fn end_connection(&mut self) {
        self.said.keeps = false;
    }

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        self.client.poll_gone(cx)
    }

    fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        self.client.poll_due(cx, due)
    }

    fn enter(&self, phase: Phase) {
        self.client.connection.enter(phase);
    }

    fn has_begun(&self) -> bool {
        self.said.status.is_some()
    }

    async fn interim(&mut self, head: &ResponseHeader, spelling: &Spelling) -> Result<()> {
        if self.said.is_old {
            return Ok(());
        }
        let mut out = BytesMut::new();
        head::put_response(&mut out, head, spelling);
        out.put_slice(b"\r\n");
        self.client.write(&out, self.within).await
    }

    fn head(&mut self, mut head: ResponseHeader, spelling: &Spelling, keeps: bool) {
        self.framing = Framing::of(&head, self.said.to_head);
        let is_unframed = self.said.is_old && self.framing == Framing::Chunked;
        if is_unframed {
            self.framing = Framing::Close;
        }
        self.status = head.status;
        self.said.keeps &= keeps && self.framing != Framing::Close;
        self.out = BytesMut::with_capacity(ANSWER_BYTES);
        if self.said.is_old {
            head.remove_header(&header::TRANSFER_ENCODING);
        }
        head::put_response(&mut self.out, &head, spelling);
        if !head.headers.contains_key(header::DATE) {
            // RFC 9110 §6.6.1: who has a clock sees to it.
            head::put_header(&mut self.out, b"Date", get_cached_date().as_bytes());
        }
        self.out.put_slice(match self.said.keeps {
            true => b"Connection: keep-alive\r\n\r\n",
            false => b"Connection: close\r\n\r\n",
        });
    }

    async fn piece(&mut self, piece: Bytes) -> Result<()> {
        if piece.len() < TOGETHER_BYTES {
            self.said.body_bytes += self.framing.put(&mut self.out, &piece) as u64;
            return match self.out.len() < TOGETHER_BYTES {
                true => Ok(()),
                false => self.flush().await,
            };
        }
        let (count, behind) = self.framing.around(&mut self.out, piece.len());
        self.said.body_bytes += count as u64;
        self.said.status = Some(self.status);
        let parts = [&self.out[..], &piece[..count], behind];
        self.client.write_all(parts, self.within).await?;
        self.out.clear();
        Ok(())
    }

    async fn end(&mut self, trailers: HeaderMap) -> Result<()> {
        if !self.framing.end(&mut self.out, &trailers) {
            self.said.keeps = false;
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<()> {
        if !self.out.is_empty() {
            self.said.status = Some(self.status);
            self.client.write(&self.out, self.within).await?;
            self.out.clear();
        }
        Ok(())
    }
}
