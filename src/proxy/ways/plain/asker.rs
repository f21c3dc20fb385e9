//! The client as the exchange sees it: a body that is asked for, an answer that is given.

use crate::proxy::door::Phase;
use crate::proxy::http1::head::Spelling;
use crate::proxy::request::filters::Asking;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use pingora::http::ResponseHeader;
use pingora::{Error, Result};
use std::task::{Context, Poll};
use tokio::time::Instant;

/// One request's client, whatever protocol it speaks. Dropping a poll loses nothing.
pub trait Asker: Asking {
    /// The next piece of the request's body, never an empty one; `None`: it is over.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>>;

    /// Fields behind the body, once it is over.
    fn trailers(&mut self) -> HeaderMap;

    /// Reads all of a body whose length is known, and returns it.
    fn whole_body(&mut self, length: usize) -> impl Future<Output = Result<BytesMut>> + Send;

    /// Passes over the body of a request that is answered here.
    fn skip_body(&mut self);

    /// Makes this request the last one on its connection, where requests take turns on one.
    fn end_connection(&mut self);

    /// Resolves when the client leaves while it is answered.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Box<Error>>;

    /// Rings at `due`.
    fn poll_due(&mut self, cx: &mut Context<'_>, due: Instant) -> Poll<()>;

    /// Sets the part of the request that the client's connection is in.
    fn enter(&self, phase: Phase);

    /// Whether something of the final answer has left.
    fn has_begun(&self) -> bool;

    /// Sends an interim answer.
    fn interim(
        &mut self,
        head: &ResponseHeader,
        spelling: &Spelling,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Begins the final answer, which may wait for more to come, or for `flush`. `keeps`: the
    /// request was read to its end, so that another one may follow.
    fn head(&mut self, head: ResponseHeader, spelling: &Spelling, keeps: bool);

    /// Adds a piece of the answer's body.
    fn piece(&mut self, piece: Bytes) -> impl Future<Output = Result<()>> + Send;

    /// Ends the answer.
    fn end(&mut self, trailers: HeaderMap) -> impl Future<Output = Result<()>> + Send;

    /// Bytes of an answer that are worth reading ahead of the client.
    fn room(&self) -> usize {
        usize::MAX
    }

    /// Sends what waits.
    fn flush(&mut self) -> impl Future<Output = Result<()>> + Send;
}
