//! A replica that speaks HTTP/2: one stream of a connection that others share.
//!
//! Bytes of an answer count against the stream's window until the client has taken them, and of a
//! request no more is handed to the connection than the replica's window has room for. So a side
//! that is slow costs a window, and never the other streams.

use super::answerer::Answerer;
use super::outgoing::Frames;
use crate::proxy::http1::head::Spelling;
use crate::proxy::request::failure;
use crate::proxy::request::retry::Reach;
use crate::service::replica::idle_pool::Use;
use crate::service::replica::lease::Lease;
use crate::service::replica::multiplexed::StreamPermit;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

pub struct H2Replica<'a> {
    permit: StreamPermit,
    request: &'a Frames,
    /// Resolves when the replica is lost, for a request that may go elsewhere.
    lost: Option<BoxFuture<'static, ()>>,
    outgoing: Option<SendStream<Bytes>>,
    answer: Answer,
    /// Bytes that the client has not taken yet.
    unreleased: usize,
    trailers: HeaderMap,
    /// The replica has certainly not begun with the request.
    is_untouched: bool,
}

/// How far the answer has come.
enum Answer {
    Nothing,
    Awaited(ResponseFuture),
    /// An interim answer that was not passed on yet.
    Interim(ResponseHeader, ResponseFuture),
    Head(ResponseHeader, RecvStream),
    /// The body, and a piece that was not passed on yet.
    Body(RecvStream, Option<Bytes>),
    Trailers(RecvStream),
    Over,
}

impl<'a> H2Replica<'a> {
    pub fn new(permit: StreamPermit, request: &'a Frames) -> H2Replica<'a> {
        H2Replica {
            permit,
            request,
            lost: None,
            outgoing: None,
            answer: Answer::Nothing,
            unreleased: 0,
            trailers: HeaderMap::new(),
            is_untouched: true,
        }
    }

    /// Whether the connection was silent before, so that its end may have come earlier.
    pub fn was_idle(&self) -> bool {
        self.permit.was_idle
    }

    /// Whether the replica has certainly not begun with the request, so that any method may be
    /// tried elsewhere.
    pub fn is_untouched(&self) -> bool {
        self.is_untouched
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), h2::Error>> {
        match &mut self.answer {
            Answer::Awaited(response) => {
                if let Poll::Ready(Some(interim)) = response.poll_informational(cx) {
                    let head = head(interim?);
                    if let Answer::Awaited(response) =
                        std::mem::replace(&mut self.answer, Answer::Over)
                    {
                        self.answer = Answer::Interim(head, response);
                    }
                    return Poll::Ready(Ok(()));
                }
                let (parts, body) = ready!(std::pin::Pin::new(response).poll(cx))?.into_parts();
                let head = head(Response::from_parts(parts, ()));
                self.answer = Answer::Head(head, body);
                Poll::Ready(Ok(()))
            }
            Answer::Body(body, piece @ None) => match ready!(body.poll_data(cx)) {
                Some(data) => {
                    *piece = Some(data?);
                    Poll::Ready(Ok(()))
                }
                None => {
                    if let Answer::Body(body, _) = std::mem::replace(&mut self.answer, Answer::Over)
                    {
                        self.answer = Answer::Trailers(body);
                    }
                    self.poll_trailers(cx)
                }
            },
            Answer::Trailers(_) => self.poll_trailers(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), h2::Error>> {
        if let Answer::Trailers(body) = &mut self.answer {
            self.trailers = ready!(body.poll_trailers(cx))?.unwrap_or_default();
            self.answer = Answer::Over;
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the replica room for as much as the client has taken.
    fn release(&mut self) {
        let taken = std::mem::take(&mut self.unreleased);
        if taken > 0
            && let Answer::Body(body, _) | Answer::Trailers(body) = &mut self.answer
        {
            // An error means that the stream is over.
            let _ = body.flow_control().release_capacity(taken);
        }
    }

    fn broke(&mut self, error: h2::Error) -> Box<Error> {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        // RFC 9113 §8.7: neither a refused stream nor one behind the last that a GOAWAY names was
        // processed.
        self.is_untouched = error.is_remote() && (error.is_go_away() || refused);
        let (kind, what) = if error.is_library() {
            (ErrorType::InvalidHTTPHeader, "an answer that is not HTTP/2")
        } else if refused {
            (
                ErrorType::ConnectionClosed,
                "the replica refused the stream",
            )
        } else if error.is_go_away() {
            (
                ErrorType::ConnectionClosed,
                "the replica ends its connection",
            )
        } else if error.is_reset() {
            (ErrorType::ConnectionClosed, "the replica reset the stream")
        } else {
            (
                ErrorType::ConnectionClosed,
                "the replica closed the connection before the answer was complete",
            )
        };
        Error::because(kind, what, error).into_up()
    }
}

impl Answerer for H2Replica<'_> {
    const TAKES_CHUNKS: bool = false;

    fn note(&mut self, lease: &mut Lease) -> bool {
        let replica = Arc::clone(lease.replica());
        if replica.connections.is_lost() {
            return false;
        }
        if self.request.used == Use::MayBeRepeated {
            self.lost = Some(Box::pin(async move { replica.connections.lost().await }));
        }
        true
    }

    async fn send(&mut self, ends: bool, _within: Duration, reach: &mut Reach) -> Result<bool> {
        let (head, body) = (self.request.head.clone(), self.request.body.clone());
        let ends_at_once = ends && body.is_empty();
        let mut requests = self.permit.requests();
        let (response, mut outgoing) = match requests.send_request(head, ends_at_once) {
            Ok(sent) => sent,
            // Nothing has left.
            Err(error) => {
                let what = "the replica closed the connection meanwhile";
                return Err(Error::because(ErrorType::ConnectionClosed, what, error).into_up());
            }
        };
        *reach = Reach::Sent;
        self.is_untouched = false;
        self.answer = Answer::Awaited(response);
        // No more than is remembered for another attempt, so that it may wait for its room there.
        if !body.is_empty()
            && let Err(error) = outgoing.send_data(body, ends)
        {
            return Err(self.broke(error));
        }
        self.outgoing = (!ends).then_some(outgoing);
        Ok(true)
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>> {
        let ended = || io::Error::from(io::ErrorKind::BrokenPipe);
        let (Some(outgoing), Some(first)) = (&mut self.outgoing, body.front_mut()) else {
            return Poll::Ready(Err(ended()));
        };
        outgoing.reserve_capacity(first.len());
        let room = match outgoing.capacity() {
            0 => match ready!(outgoing.poll_capacity(cx)) {
                Some(room) => room.map_err(io::Error::other)?,
                None => return Poll::Ready(Err(ended())),
            },
            room => room,
        };
        let part = first.split_to(room.min(first.len()));
        if first.is_empty() {
            body.pop_front();
        }
        let count = part.len();
        outgoing.send_data(part, false).map_err(io::Error::other)?;
        Poll::Ready(Ok(count))
    }

    fn end(&mut self, trailers: &HeaderMap) {
        if let Some(mut outgoing) = self.outgoing.take() {
            // An error means that the replica takes no more, of which its answer tells.
            let _ = match trailers.is_empty() {
                true => outgoing.send_data(Bytes::new(), true),
                false => outgoing.send_trailers(trailers.clone()),
            };
        }
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, _most: usize) -> Poll<Result<()>> {
        if let Some(lost) = &mut self.lost
            && lost.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(failure::lost()));
        }
        self.release();
        let read = ready!(self.poll_answer(cx));
        Poll::Ready(read.map_err(|error| self.broke(error)))
    }

    fn head(&mut self, _room: usize) -> Result<Option<(ResponseHeader, Spelling)>> {
        let head = match std::mem::replace(&mut self.answer, Answer::Over) {
            Answer::Interim(head, response) => {
                self.answer = Answer::Awaited(response);
                head
            }
            Answer::Head(mut head, body) => {
                // An answer that has begun goes on, whatever becomes of the replica.
                self.lost = None;
                let is_over = body.is_end_stream();
                self.frame(&mut head, is_over)?;
                if !is_over {
                    self.answer = Answer::Body(body, None);
                }
                head
            }
            other => {
                self.answer = other;
                return Ok(None);
            }
        };
        Ok(Some((head, Spelling::default())))
    }

    fn piece(&mut self) -> Result<Option<Bytes>> {
        // The client has the pieces before this one.
        self.release();
        loop {
            if let Answer::Body(_, None) = &self.answer {
                let mut context = Context::from_waker(Waker::noop());
                if let Poll::Ready(Err(error)) = self.poll_answer(&mut context) {
                    return Err(self.broke(error));
                }
            }
            let Answer::Body(body, piece) = &mut self.answer else {
                return Ok(None);
            };
            let Some(taken) = piece.take() else {
                return Ok(None);
            };
            if body.is_end_stream() {
                self.answer = Answer::Over;
            }
            if !taken.is_empty() {
                self.unreleased += taken.len();
                return Ok(Some(taken));
            }
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.answer, Answer::Over)
    }

    fn trailers(&mut self) -> HeaderMap {
        let mut trailers = std::mem::take(&mut self.trailers);
        for name in NOT_BEHIND_AN_ANSWER {
            trailers.remove(name);
        }
        trailers
    }
}

/// Fields that say something about the connection or about where a body ends.
const NOT_BEHIND_AN_ANSWER: [header::HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::SET_COOKIE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl H2Replica<'_> {
    /// Says where the body ends as HTTP/1 does, for a client that speaks that.
    fn frame(&self, head: &mut ResponseHeader, is_over: bool) -> Result<()> {
        head.remove_header(&header::TRANSFER_ENCODING);
        let is_bodiless = self.request.head.method() == Method::HEAD
            || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status);
        if is_bodiless || head.headers.contains_key(header::CONTENT_LENGTH) {
            return Ok(());
        }
        match is_over {
            true => head.insert_header(header::CONTENT_LENGTH, 0),
            false => {
                let chunked = HeaderValue::from_static("chunked");
                head.insert_header(header::TRANSFER_ENCODING, chunked)
            }
        }
    }
}

fn head(answer: Response<()>) -> ResponseHeader {
    let (mut parts, ()) = answer.into_parts();
    parts.version = http::Version::HTTP_11;
    ResponseHeader::from(parts)
}
