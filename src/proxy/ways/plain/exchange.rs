//! One request and its answer, between any client and one replica.
//!
//! Both bodies are streamed, and the answer may begin before the request has ended. The side that
//! is slow slows the other one down: nothing is read before what was read has been written.

use super::answerer::Answerer;
use super::asker::Asker;
use super::outgoing::{Frames, Outgoing};
use super::patience::Patience;
use super::replica::Http1Replica;
use super::replica_h2::H2Replica;
use super::replica_web::WebReplica;
use super::upload::Upload;
use crate::proxy::door::Phase;
use crate::proxy::edge::Edge;
use crate::proxy::http1::head::Spelling;
use crate::proxy::request::answered::awaits_answer;
use crate::proxy::request::context::Context;
use crate::proxy::request::failure;
use crate::proxy::request::judge::{Broke, Failed};
use crate::proxy::request::retry::Reach;
use crate::proxy::request::serve::Attempt;
use crate::proxy::request::transforms;
use bytes::{Bytes, BytesMut};
use futures_util::poll;
use http::{HeaderMap, Method};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, Result};
use std::future::poll_fn;
use std::task::Poll;

/// A request to whichever replica it has.
pub struct Exchange<'a, A> {
    pub asker: &'a mut A,
    pub head: &'a RequestHeader,
    pub request: &'a Outgoing,
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
        match self.request {
            Outgoing::Text(request) => {
                let link = edge.link(self.asker, Some(request.used), ctx).await;
                let link = link.map_err(Failed::unconnected)?;
                let to_head = self.head.method == Method::HEAD;
                let mut replica = Http1Replica::new(link, request, to_head);
                let done = self.ask_on(&mut replica, edge, ctx).await;
                ctx.request_body_bytes += self.upload.bytes;
                let is_whole = done.map_err(|error| self.failed(error, replica.was_used()))?;
                if is_whole && let Some(lease) = &mut ctx.lease {
                    replica.keep(lease);
                }
                Ok(())
            }
            // On the heap, so that a request to a replica of HTTP/1 is moved without it.
            Outgoing::Frames(request) => Box::pin(self.ask_in_frames(request, edge, ctx)).await,
        }
    }
}

impl<A: Asker> Exchange<'_, A> {
    fn failed(&self, error: Box<Error>, was_used: bool) -> Failed {
        Failed {
            error,
            connection: Some(Broke {
                was_used,
                answer_began: self.asker.has_begun(),
                body_is_kept: self.upload.is_kept(),
            }),
        }
    }

    async fn ask_in_frames(
        &mut self,
        request: &Frames,
        edge: &Edge,
        ctx: &mut Context,
    ) -> std::result::Result<(), Failed> {
        let permit = edge.open_stream(self.asker, request.used, ctx).await;
        let permit = permit.map_err(Failed::unconnected)?;
        let mut replica = H2Replica::new(permit, request);
        let done = match request.web {
            None => self.ask_on(&mut replica, edge, ctx).await,
            Some(dialect) => {
                let mut web = WebReplica::new(replica, dialect);
                let done = self.ask_on(&mut web, edge, ctx).await;
                replica = web.inner;
                done
            }
        };
        ctx.request_body_bytes += self.upload.bytes;
        match done {
            Ok(_) => Ok(()),
            Err(error) => {
                let is_untouched = replica.is_untouched();
                if is_untouched {
                    ctx.reach = Reach::Nowhere;
                }
                Err(self.failed(error, is_untouched || replica.was_idle()))
            }
        }
    }

    /// Sends the request and passes the answer on. Returns whether the replica took all of the
    /// request.
    async fn ask_on<R: Answerer>(
        &mut self,
        replica: &mut R,
        edge: &Edge,
        ctx: &mut Context,
    ) -> Result<bool> {
        let lease = ctx.lease.as_mut();
        if !lease.is_some_and(|lease| replica.note(lease)) {
            return Err(failure::lost());
        }
        let forward = ctx.route.as_ref().map(|route| &route.forward);
        let patience = forward.map_or_else(Patience::default, |forward| Patience {
            read: forward.read_timeout,
            write: forward.write_timeout,
        });
        self.upload.rewind(R::TAKES_CHUNKS);
        self.upload.after = awaits_answer(ctx);
        self.asker.enter(match self.upload.is_under_way() {
            true => Phase::Body,
            false => self.upload.after,
        });
        ctx.reach = Reach::Head;
        let ends = !self.upload.is_under_way();
        let is_sent = replica.send(ends, patience.write, &mut ctx.reach).await?;
        if !is_sent {
            self.upload.give_up();
        }
        let room = ctx.chain().room();
        loop {
            let Some((mut answer, spelling)) = replica.head(room)? else {
                patience.hear(self.asker, replica, &mut self.upload).await?;
                continue;
            };
            let instead = edge.heed_answer(self.head, &mut answer, ctx)?;
            if answer.status.is_informational() {
                self.asker.interim(&answer, &spelling).await?;
                continue;
            }
            self.upload.after = Phase::Answer;
            if !self.upload.is_under_way() {
                self.asker.enter(Phase::Answer);
            }
            match instead {
                Some(content) => {
                    let keeps = self.keeps(edge);
                    self.asker.head(answer, &Spelling::default(), keeps);
                    self.asker.piece(content).await?;
                    self.asker.end(HeaderMap::new()).await?;
                }
                None => {
                    self.pass(replica, (answer, spelling), patience, edge, ctx)
                        .await?;
                }
            }
            return Ok(is_sent && self.upload.is_read() && !self.upload.is_under_way());
        }
    }

    /// Whether another request may follow: what the replica leaves unread of this one would stand
    /// in its way.
    fn keeps(&self, edge: &Edge) -> bool {
        self.upload.is_read() && edge.still_keeps(false)
    }

    /// Passes an answer down.
    pub async fn pass<R: Answerer>(
        &mut self,
        replica: &mut R,
        (mut answer, spelling): (ResponseHeader, Spelling),
        patience: Patience,
        edge: &Edge,
        ctx: &mut Context,
    ) -> Result<()> {
        let ahead = match ctx.transforms.is_empty() {
            true => Bytes::new(),
            false => transform_ahead(replica, &mut answer, edge, ctx)?,
        };
        let keeps = self.keeps(edge);
        self.asker.head(answer, &spelling, keeps);
        if !ahead.is_empty() {
            self.asker.piece(ahead).await?;
        }
        loop {
            while let Some(piece) = replica.piece()? {
                edge.count_answered(piece.len(), ctx)?;
                let piece = ctx.transforms.pass(piece, replica.is_over())?;
                if !piece.is_empty() {
                    self.asker.piece(piece).await?;
                }
            }
            if replica.is_over() {
                let rest = ctx.transforms.pass(Bytes::new(), true)?;
                if !rest.is_empty() {
                    self.asker.piece(rest).await?;
                }
                let trailers = replica.trailers();
                edge.heed_trailers(&trailers, ctx);
                return self.asker.end(trailers).await;
            }
            let room = self.asker.room();
            let heard = poll!(poll_fn(|cx| replica.poll_more(cx, room)));
            if !matches!(heard, Poll::Ready(Ok(()))) {
                self.asker.flush().await?;
            }
            match heard {
                Poll::Ready(heard) => heard?,
                Poll::Pending => patience.hear(self.asker, replica, &mut self.upload).await?,
            }
        }
    }
}

/// Transforms what has come of a body, and says its length in the head if that is all.
fn transform_ahead<R: Answerer>(
    replica: &mut R,
    answer: &mut ResponseHeader,
    edge: &Edge,
    ctx: &mut Context,
) -> Result<Bytes> {
    let mut ahead = BytesMut::new();
    while let Some(piece) = replica.piece()? {
        edge.count_answered(piece.len(), ctx)?;
        ahead.extend_from_slice(&ctx.transforms.pass(piece, replica.is_over())?);
    }
    if replica.is_over() {
        ahead.extend_from_slice(&ctx.transforms.pass(Bytes::new(), true)?);
        transforms::tell_length(answer, ahead.len())?;
    }
    Ok(ahead.freeze())
}
