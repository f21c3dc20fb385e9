//! The replica as the exchange sees it: a request that is taken, an answer that is given.

use crate::proxy::http1::head::Spelling;
use crate::proxy::request::retry::Reach;
use crate::service::replica::lease::Lease;
use bytes::Bytes;
use http::HeaderMap;
use pingora::Result;
use pingora::http::ResponseHeader;
use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

/// One attempt's replica, whatever protocol it speaks. Dropping a poll loses nothing.
pub trait Answerer: Send {
    /// Whether a body without a known length goes up in chunks.
    const TAKES_CHUNKS: bool;

    /// Notes in the lease where the request is about to be sent, so that a lost replica gives it
    /// back. False: the replica is lost already.
    fn note(&mut self, lease: &mut Lease) -> bool;

    /// Sends the head, and what of the body was read before it; `ends`: that is all of it. The
    /// replica takes each part `within` that time. Returns whether it took all; if not, it has something to say already.
    fn send(
        &mut self,
        ends: bool,
        within: Duration,
        reach: &mut Reach,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Takes of a body, which is not empty, as much as there is room for. Returns the number of
    /// bytes.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>>;

    /// Ends a body, of which the replica has taken everything; chunks have an end of their own.
    fn end(&mut self, trailers: &HeaderMap);

    /// Reads more of the answer, up to `most` bytes where they are read from a connection of its
    /// own. Fails when there is no more and there should be.
    fn poll_more(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<Result<()>>;

    /// The head of the next answer, interim or final, if all of it was read. Filters may add
    /// `room` headers before the map grows.
    fn head(&mut self, room: usize) -> Result<Option<(ResponseHeader, Spelling)>>;

    /// The next piece of the answer's body that was read; `None`: read more, or it is over.
    fn piece(&mut self) -> Result<Option<Bytes>>;

    /// Whether the answer's body was read to its end.
    fn is_over(&self) -> bool;

    /// Fields behind the answer's body, once it is over.
    fn trailers(&mut self) -> HeaderMap;
}
