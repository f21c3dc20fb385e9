//! A client's stream, as the exchange sees it.
//!
//! Bytes of a request's body count against the client's window until the replica has taken them.
//! Of an answer no more is handed to the connection than the client's window and a short buffer
//! have room for, and nothing is read of the replica before that: so a client that does not read
//! costs a few KiB.

use super::head;
use crate::proxy::door::{Alarm, Connection, Pace, Phase};
use crate::proxy::http1::body::{Framing, is_for_trailers};
use crate::proxy::http1::fields::content_length;
use crate::proxy::http1::head::Spelling;
use crate::proxy::request::caller::{self, Caller};
use crate::proxy::request::filters::Asking;
use crate::proxy::settings::Settings;
use crate::proxy::ways::plain::asker::Asker;
use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, Response, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::SocketDigest;
use pingora::{Error, ErrorType, Result};
use std::cell::Cell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes of an answer that the connection is given at once.
const PART_BYTES: usize = 32 << 10;
/// Bytes of an answer that are read ahead of a client which has no room for more yet. A connection
/// may have a hundred such streams.
const READ_AHEAD_BYTES: usize = 8 << 10;

/// Common state of a connection's streams.
pub struct Shared {
    pub connection: Arc<Connection>,
    pub socket: Option<Arc<SocketDigest>>,
}

pub struct Stream<'a> {
    shared: &'a Shared,
    settings: Arc<Settings>,
    respond: SendResponse<Bytes>,
    incoming: RecvStream,
    outgoing: Option<SendStream<Bytes>>,
    phase: Cell<Phase>,
    /// A body that was read before a replica was asked.
    ahead: VecDeque<Bytes>,
    /// The last piece of the answer had to wait for room.
    is_full: bool,
    /// Bytes that a replica has not taken yet.
    unreleased: usize,
    trailers: Option<Box<HeaderMap>>,
    is_told_to_send: bool,
    reading: Pace,
    writing: Pace,
    /// Rings when the replica is silent.
    patience: Alarm,
    /// The beginning of the answer, while it waits for more to leave with it.
    head: Option<Response<()>>,
    piece: Bytes,
    framing: Framing,
    is_ended: bool,
    said: Said,
}

/// The answer so far.
#[derive(Clone, Copy, Default)]
pub struct Said {
    pub status: Option<StatusCode>,
    pub body_bytes: u64,
    /// The client took its request back.
    pub was_reset: bool,
    to_head: bool,
}

impl<'a> Stream<'a> {
    pub fn new(
        shared: &'a Shared,
        settings: Arc<Settings>,
        method: &Method,
        respond: SendResponse<Bytes>,
        incoming: RecvStream,
    ) -> Stream<'a> {
        Stream {
            shared,
            settings,
            respond,
            incoming,
            outgoing: None,
            phase: Cell::new(Phase::Answer),
            ahead: VecDeque::new(),
            is_full: true,
            unreleased: 0,
            trailers: None,
            is_told_to_send: false,
            reading: Pace::default(),
            writing: Pace::default(),
            patience: Alarm::default(),
            head: None,
            piece: Bytes::new(),
            framing: Framing::Over,
            is_ended: false,
            said: Said {
                to_head: method == Method::HEAD,
                ..Said::default()
            },
        }
    }

    /// Ends the stream. An answer that broke off is reset, so that nobody takes it for whole.
    pub fn finish(mut self) -> Said {
        if !self.is_ended
            && let Some(outgoing) = &mut self.outgoing
        {
            outgoing.send_reset(Reason::INTERNAL_ERROR);
        }
        self.said
    }

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        let _reason = ready!(match &mut self.outgoing {
            Some(outgoing) => outgoing.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        });
        self.said.was_reset = true;
        let what = "the client took its request back";
        Poll::Ready(Error::explain(ErrorType::ConnectionClosed, what).into_down())
    }

    /// Gives the client room for as much as was taken of its body.
    fn release(&mut self) {
        let taken = std::mem::take(&mut self.unreleased);
        if taken > 0 {
            // An error means that the stream is over.
            let _ = self.incoming.flow_control().release_capacity(taken);
        }
    }

    /// Reads the body until its end, or until it has more than `max` bytes: false.
    async fn read_ahead(&mut self, max: usize) -> Result<bool> {
        let mut ahead = std::mem::take(&mut self.ahead);
        let mut length: usize = ahead.iter().map(Bytes::len).sum();
        while length <= max {
            let Some(piece) = poll_fn(|cx| self.poll_body(cx)).await? else {
                break;
            };
            length += piece.len();
            ahead.push_back(piece);
        }
        // Others of its streams would wait for room that only the end of this body gives back.
        self.release();
        self.ahead = ahead;
        Ok(length <= max)
    }

    /// Sends the head, unless it has left.
    pub(super) fn begin(&mut self, ends: bool) -> Result<()> {
        if let Some(head) = self.head.take() {
            let status = head.status();
            let sent = self.respond.send_response(head, ends);
            self.outgoing = Some(sent.map_err(|error| broke(error, &mut self.said))?);
            self.said.status = Some(status);
            self.is_ended = ends;
        }
        Ok(())
    }

    /// Sends the head and the piece that wait, and with them the end.
    async fn send(&mut self, ends: bool) -> Result<()> {
        let mut piece = std::mem::take(&mut self.piece);
        self.is_full = piece.is_empty() && self.is_full;
        self.begin(ends && piece.is_empty())?;
        while self.outgoing.is_some() && (!piece.is_empty() || ends && !self.is_ended) {
            let count = match piece.is_empty() {
                true => 0,
                false => poll_fn(|cx| self.poll_room(cx, piece.len())).await?,
            };
            let part = piece.split_to(count);
            self.send_part(part, ends && piece.is_empty())?;
        }
        Ok(())
    }

    /// Sends a part for which there is room.
    pub(super) fn send_part(&mut self, part: Bytes, ends: bool) -> Result<()> {
        if let Some(outgoing) = &mut self.outgoing {
            let count = part.len() as u64;
            let sent = outgoing.send_data(part, ends);
            sent.map_err(|error| broke(error, &mut self.said))?;
            self.said.body_bytes += count;
            self.is_ended = ends;
        }
        Ok(())
    }

    /// Waits for room for a part of a piece of this length.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<Result<usize>> {
        let what = "writing to the client";
        let Some(outgoing) = &mut self.outgoing else {
            return Poll::Ready(Err(Error::new_in(ErrorType::InternalError)));
        };
        let wanted = length.min(PART_BYTES);
        outgoing.reserve_capacity(wanted);
        let room = match outgoing.capacity() {
            0 => outgoing.poll_capacity(cx),
            room => Poll::Ready(Some(Ok(room))),
        };
        match room {
            Poll::Ready(Some(Ok(room))) => {
                self.writing.moved(room.min(length));
                Poll::Ready(Ok(room.min(length)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(broke(error, &mut self.said))),
            Poll::Ready(None) => {
                self.said.was_reset = true;
                let reset = Error::explain(ErrorType::WriteError, what);
                Poll::Ready(Err(reset.into_down()))
            }
            Poll::Pending if self.phase.get() == Phase::Tunnel => Poll::Pending,
            Poll::Pending => {
                self.is_full = true;
                let grace = self.settings.client_write_timeout;
                let rate = self.settings.bounds.min_rate_bytes;
                ready!(self.writing.poll_too_slow(cx, grace, rate));
                let slow = Error::explain(ErrorType::WriteTimedout, what);
                Poll::Ready(Err(slow.into_down()))
            }
        }
    }
}

fn broke(error: h2::Error, said: &mut Said) -> Box<Error> {
    said.was_reset |= error.is_reset() && error.is_remote();
    Error::because(ErrorType::WriteError, "writing to the client", error).into_down()
}

impl Caller for Stream<'_> {
    async fn left(&mut self) -> Box<Error> {
        let _left = poll_fn(|cx| self.poll_reset(cx)).await;
        caller::gone()
    }

    fn socket(&self) -> Option<Arc<SocketDigest>> {
        self.shared.socket.clone()
    }
}

impl Asking for Stream<'_> {
    async fn peek_body(
        &mut self,
        head: &RequestHeader,
        max: usize,
        _patience: Duration,
    ) -> Result<Option<Bytes>> {
        if content_length(head).is_some_and(|length| length > max as u64) {
            return Ok(None);
        }
        if head.headers.contains_key(header::EXPECT) && !self.is_told_to_send {
            self.is_told_to_send = true;
            let go_on = ResponseHeader::build(StatusCode::CONTINUE, None)?;
            self.interim(&go_on, &Spelling::default()).await?;
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

impl Asker for Stream<'_> {
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        if let Some(piece) = self.ahead.pop_front() {
            return Poll::Ready(Ok(Some(piece)));
        }
        self.release();
        let what = "reading a request's body";
        loop {
            match self.incoming.poll_data(cx) {
                Poll::Ready(Some(Ok(piece))) if piece.is_empty() => {}
                Poll::Ready(Some(Ok(piece))) => {
                    self.unreleased += piece.len();
                    self.reading.moved(piece.len());
                    return Poll::Ready(Ok(Some(piece)));
                }
                Poll::Ready(None) => {
                    if let Some(Ok(Some(trailers))) = ready_now(self.incoming.poll_trailers(cx)) {
                        let all = trailers.into_iter();
                        let mut last = None;
                        for (name, value) in all {
                            last = name.or(last);
                            if let Some(name) = &last
                                && is_for_trailers(name)
                            {
                                self.trailers
                                    .get_or_insert_default()
                                    .append(name.clone(), value);
                            }
                        }
                    }
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Some(Err(error))) => {
                    self.said.was_reset |= error.is_reset() && error.is_remote();
                    let left = Error::because(ErrorType::ConnectionClosed, what, error);
                    return Poll::Ready(Err(left.into_down()));
                }
                // A tunnel has a limit of its own.
                Poll::Pending if self.phase.get() == Phase::Tunnel => return Poll::Pending,
                Poll::Pending => {
                    let grace = self.settings.client_read_timeout;
                    let rate = self.settings.bounds.min_rate_bytes;
                    ready!(self.reading.poll_too_slow(cx, grace, rate));
                    let slow = Error::explain(ErrorType::ReadTimedout, what);
                    return Poll::Ready(Err(slow.into_down()));
                }
            }
        }
    }

    fn trailers(&mut self) -> HeaderMap {
        self.trailers.take().map_or_else(HeaderMap::new, |all| *all)
    }

    async fn whole_body(&mut self, length: usize) -> Result<BytesMut> {
        self.read_ahead(length).await?;
        let mut body = BytesMut::with_capacity(length);
        for piece in self.ahead.drain(..) {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn skip_body(&mut self) {
        self.ahead.clear();
    }

    fn end_connection(&mut self) {}

    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>> {
        match self.phase.get() {
            // The answer is awaited whether the client is still there or not.
            Phase::Owed => Poll::Pending,
            _ => self.poll_reset(cx),
        }
    }

    fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()> {
        self.patience.poll(cx, due)
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
    }

    fn has_begun(&self) -> bool {
        self.said.status.is_some()
    }

    async fn interim(&mut self, head: &ResponseHeader, _spelling: &Spelling) -> Result<()> {
        let sent = self
            .respond
            .send_informational(head::response(head.clone()));
        sent.map_err(|error| broke(error, &mut self.said))
    }

    fn head(&mut self, head: ResponseHeader, _spelling: &Spelling, _keeps: bool) {
        self.framing = Framing::of(&head, self.said.to_head);
        self.head = Some(head::response(head));
    }

    async fn piece(&mut self, mut piece: Bytes) -> Result<()> {
        match &mut self.framing {
            Framing::Over => return Ok(()),
            Framing::Length(left) => {
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
            }
            Framing::Chunked | Framing::Close => {}
        }
        if !self.piece.is_empty() {
            self.send(false).await?;
        }
        self.piece = piece;
        Ok(())
    }

    async fn end(&mut self, trailers: HeaderMap) -> Result<()> {
        if matches!(self.framing, Framing::Length(left) if left > 0) {
            // The head promised more.
            return self.send(false).await;
        }
        if trailers.is_empty() || self.framing == Framing::Over {
            return self.send(true).await;
        }
        self.send(false).await?;
        if let Some(outgoing) = &mut self.outgoing {
            let sent = outgoing.send_trailers(trailers);
            sent.map_err(|error| broke(error, &mut self.said))?;
            self.is_ended = true;
        }
        Ok(())
    }

    fn room(&self) -> usize {
        match self.is_full {
            true => READ_AHEAD_BYTES,
            false => usize::MAX,
        }
    }

    async fn flush(&mut self) -> Result<()> {
        self.send(false).await
    }
}

fn ready_now<T>(polled: Poll<T>) -> Option<T> {
    match polled {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
