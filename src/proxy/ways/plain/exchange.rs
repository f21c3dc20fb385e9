//! One request and its answer, between any client and one replica.
//!
//! Both bodies are streamed, and the answer may begin before the request has ended. The side that
//! is slow slows the other one down: nothing is read before what was read has been written.

use super::asker::Asker;
use super::replica::{BODY_BYTES, Patience, Request, broken, hear, hear_head, send, stays};
use super::upload::Upload;
use crate::proxy::door::Phase;
use crate::proxy::edge::Edge;
use crate::proxy::http1::body::Body;
use crate::proxy::http1::head::Spelling;
use crate::proxy::request::answered::awaits_answer;
use crate::proxy::request::context::Context;
use crate::proxy::request::failure;
use crate::proxy::request::judge::{Broke, Failed};
use crate::proxy::request::retry::Reach;
use crate::proxy::request::serve::Attempt;
use crate::proxy::request::transforms;
use crate::proxy::upstream::link::Link;
use crate::service::replica::idle_pool::Use;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};
use std::os::fd::AsRawFd;

/// A request to whichever replica it has.
pub struct Exchange<'a, A> {
    pub asker: &'a mut A,
    pub head: &'a RequestHeader,
    pub request: &'a Request,
    /// The part of the body that is still with the client.
    pub upload: Upload,
    /// Bytes of the body that go with the head.
    pub body_bytes: u64,
}

impl<A: Asker> Attempt for Exchange<'_, A> {
    type Caller = A;
    type Answered = ();

    fn caller(&mut self) -> &mut A {
        self.asker
    }

    async fn ask(&mut self, edge: &Edge, ctx: &mut Context) -> std::result::Result<(), Failed> {
        ctx.request_body_bytes = self.body_bytes;
        let link = edge.link(self.asker, Some(self.request.used), ctx).await;
        let mut link = link.map_err(Failed::unconnected)?;
        let done = self.ask_on(&mut link, edge, ctx).await;
        ctx.request_body_bytes += self.upload.bytes;
        match done {
            Ok(is_kept) => {
                if is_kept && let Some(lease) = &mut ctx.lease {
                    lease.keep(link.stream);
                }
                Ok(())
            }
            Err(error) => Err(Failed {
                error,
                connection: Some(Broke {
                    was_used: link.is_used,
                    answer_began: self.asker.has_begun(),
                    body_is_kept: self.upload.is_kept(),
                }),
            }),
        }
    }
}

impl<A: Asker> Exchange<'_, A> {
    /// Sends the request and passes the answer on. Returns whether the connection may be used
    /// again.
    async fn ask_on(&mut self, link: &mut Link, edge: &Edge, ctx: &mut Context) -> Result<bool> {
        let connection = link.stream.as_raw_fd();
        let may_go_elsewhere = self.request.used == Use::MayBeRepeated;
        let lease = ctx.lease.as_mut();
        if !lease.is_some_and(|lease| lease.sends_on(connection, may_go_elsewhere)) {
            return Err(failure::lost());
        }
        let forward = ctx.target.as_ref().map(|target| &target.forward);
        let patience = forward.map_or_else(Patience::default, |forward| Patience {
            read: forward.read_timeout,
            write: forward.write_timeout,
        });
        self.upload.rewind();
        self.upload.after = awaits_answer(ctx);
        self.asker.enter(match self.upload.is_under_way() {
            true => Phase::Body,
            false => self.upload.after,
        });
        ctx.reach = Reach::Head;
        let is_sent = send(link, self.request, patience.write, &mut ctx.reach).await?;
        if !is_sent {
            self.upload.give_up();
        }
        let room = ctx.chain().room();
        loop {
            let heard = hear_head(self.asker, link, &mut self.upload, patience, room).await?;
            let (mut answer, spelling) = heard;
            let is_last = !answer.status.is_informational();
            let body = Body::of(&answer, self.head.method == Method::HEAD);
            let may_stay = is_last && stays(&answer, &body);
            if body == Body::Close && answer.headers.get(header::TRANSFER_ENCODING).is_none() {
                // It ends with the replica's connection, and ours may not look the same when it
                // breaks.
                answer.insert_header(header::TRANSFER_ENCODING, "chunked")?;
            }
            let instead = edge.heed_answer(self.head, &mut answer, ctx)?;
            if !is_last {
                self.asker.interim(&answer, &spelling).await?;
                continue;
            }
            self.upload.after = Phase::Answer;
            if !self.upload.is_under_way() {
                self.asker.enter(Phase::Answer);
            }
            let is_over = match instead {
                Some(content) => {
                    let keeps = self.keeps(edge);
                    self.asker.head(&answer, &Spelling::default(), keeps);
                    self.asker.piece(content).await?;
                    self.asker.end(HeaderMap::new()).await?;
                    body.is_over()
                }
                None => {
                    self.pass(link, body, (answer, spelling), patience, edge, ctx)
                        .await?;
                    true
                }
            };
            let is_whole = is_sent && self.upload.is_read() && !self.upload.is_under_way();
            return Ok(is_whole && is_over && may_stay && link.inbox.is_empty());
        }
    }

    /// Whether another request may follow: what the replica leaves unread of this one would stand
    /// in its way.
    fn keeps(&self, edge: &Edge) -> bool {
        self.upload.is_read() && edge.still_keeps(false)
    }

    /// Passes an answer down.
    async fn pass(
        &mut self,
        link: &mut Link,
        mut body: Body,
        (mut answer, spelling): (ResponseHeader, Spelling),
        patience: Patience,
        edge: &Edge,
        ctx: &mut Context,
    ) -> Result<()> {
        let mut trailers = HeaderMap::new();
        let ahead = match ctx.transforms.is_empty() {
            true => Bytes::new(),
            false => transform_ahead(&mut body, link, &mut trailers, &mut answer, edge, ctx)?,
        };
        let keeps = self.keeps(edge);
        self.asker.head(&answer, &spelling, keeps);
        if !ahead.is_empty() {
            self.asker.piece(ahead).await?;
        }
        loop {
            while let Some(piece) = body.take(&mut link.inbox, &mut trailers).map_err(broken)? {
                edge.count_answered(piece.len(), ctx)?;
                let piece = ctx.transforms.pass(piece, body.is_over())?;
                if !piece.is_empty() {
                    self.asker.piece(piece).await?;
                }
            }
            if body.is_over() {
                let rest = ctx.transforms.pass(Bytes::new(), true)?;
                if !rest.is_empty() {
                    self.asker.piece(rest).await?;
                }
                return self.asker.end(trailers).await;
            }
            self.asker.flush().await?;
            link.inbox.reserve(BODY_BYTES);
            if hear(self.asker, link, &mut self.upload, patience).await? == 0 {
                match body {
                    Body::Close => body = Body::Over,
                    _ => {
                        let what = "the answer ended before its body did";
                        return Err(Error::explain(ErrorType::ConnectionClosed, what).into_up());
                    }
                }
            }
        }
    }
}

/// Transforms what has come of a body, and says its length in the head if that is all.
fn transform_ahead(
    body: &mut Body,
    link: &mut Link,
    trailers: &mut HeaderMap,
    answer: &mut ResponseHeader,
    edge: &Edge,
    ctx: &mut Context,
) -> Result<Bytes> {
    let mut ahead = BytesMut::new();
    while let Some(piece) = body.take(&mut link.inbox, trailers).map_err(broken)? {
        edge.count_answered(piece.len(), ctx)?;
        ahead.extend_from_slice(&ctx.transforms.pass(piece, body.is_over())?);
    }
    if body.is_over() {
        ahead.extend_from_slice(&ctx.transforms.pass(Bytes::new(), true)?);
        transforms::tell_length(answer, ahead.len())?;
    }
    Ok(ahead.freeze())
}
