//! Answers of replicas: checked, cleaned, filtered, and learnt from.

use super::context::{Context, INTERIM_ANSWERS_MAX};
use super::filters;
use super::grpc::{self, Dialect};
use crate::proxy::door::Phase;
use crate::proxy::edge::Edge;
use crate::proxy::http1::fields::number;
use crate::proxy::hygiene;
use crate::proxy::upstream::dial;
use crate::service::replica::gate::UNLIMITED;
use crate::service::spec::Protocol;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};

impl Edge {
    /// Checks and cleans the head of a replica's answer, learns from it, and shows it to the
    /// filters. Returns the body of another answer, if a filter gave one instead.
    pub(in crate::proxy) fn heed_answer(
        &self,
        request: &RequestHeader,
        head: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<Option<Bytes>> {
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            // Nobody asked for it: requests that ask for a tunnel do not come this way.
            let what = "a 101 to a request without an upgrade";
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
        }
        if head.status.is_informational() {
            ctx.interim_answers += 1;
            if ctx.interim_answers > INTERIM_ANSWERS_MAX {
                return Err(endless_interim());
            }
        }
        // Said the same on each connection; the others spare the look.
        if let (Some(_), Some(lease)) = (&ctx.dial, &ctx.lease)
            && let Some(timeout) = dial::keep_alive(head)
        {
            lease.replica().connections.idle_pool.announced(timeout);
        }
        hygiene::response(head)
            .map_err(|broken| Error::explain(ErrorType::InvalidHTTPHeader, broken).into_up())?;
        let forward = ctx.route.as_ref().map(|route| &route.forward);
        let limit = forward.and_then(|forward| forward.max_response_body_bytes);
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(number);
        if limit
            .zip(length)
            .is_some_and(|(limit, length)| length > limit)
            && request.method != Method::HEAD
            && head.status != StatusCode::NOT_MODIFIED
        {
            return Err(too_large_an_answer());
        }
        match head.status.is_informational() {
            true => take_turn_back(ctx),
            false => match judged(head, ctx) {
                Some(status) => self.is_answered(status, ctx),
                None => self.has_begun(ctx),
            },
        }
        filters::answer(head, request, ctx)
    }

    /// Learns from an answer of this status.
    pub(in crate::proxy) fn is_answered(&self, status: StatusCode, ctx: &mut Context) {
        take_turn_back(ctx);
        if let Some(lease) = &ctx.lease {
            lease.is_answered();
            self.heed(status, ctx);
        }
    }

    /// Notes that an answer has begun, which says by its trailers how it went.
    fn has_begun(&self, ctx: &mut Context) {
        take_turn_back(ctx);
        if let Some(lease) = &ctx.lease {
            lease.is_answered();
            self.keep_latency(ctx);
        }
    }

    /// Learns from the trailers of an answer of gRPC.
    pub(in crate::proxy) fn heed_trailers(&self, trailers: &HeaderMap, ctx: &Context) {
        if speaks_h2(ctx)
            && let Some(status) = grpc::status_in(trailers)
        {
            self.heed_status(in_http(status), ctx);
        }
    }

    /// Counts what comes of an answer's body, where that has a limit.
    pub(in crate::proxy) fn count_answered(&self, bytes: usize, ctx: &mut Context) -> Result<()> {
        let limit = ctx.route.as_ref().map(|route| &route.forward);
        if let Some(limit) = limit.and_then(|forward| forward.max_response_body_bytes) {
            ctx.response_body_bytes += bytes as u64;
            if ctx.response_body_bytes > limit {
                return Err(too_large_an_answer());
            }
        }
        Ok(())
    }
}

/// The status that says how the replica did; `None`: its trailers will.
fn judged(head: &ResponseHeader, ctx: &Context) -> Option<StatusCode> {
    let is_grpc =
        speaks_h2(ctx) && head.status == StatusCode::OK && Dialect::of(&head.headers).is_some();
    match is_grpc {
        true => grpc::status_in(&head.headers).map(in_http),
        false => Some(head.status),
    }
}

fn speaks_h2(ctx: &Context) -> bool {
    let route = ctx.route.as_ref();
    route.is_some_and(|route| route.forward.upstream.protocol == Protocol::H2)
}

fn in_http(grpc_status: u32) -> StatusCode {
    match grpc::is_failure(grpc_status) {
        true => StatusCode::INTERNAL_SERVER_ERROR,
        false => StatusCode::OK,
    }
}

/// In which phase a connection is while the answer to its request, which was sent, is awaited.
/// A replica with a limit keeps its place until it is done, whether its client is still there or
/// not: what works on for nobody takes as much of it.
pub fn awaits_answer(ctx: &Context) -> Phase {
    let limit = ctx.route.as_ref().map(|route| route.forward.limit());
    match limit.is_some_and(|limit| limit < UNLIMITED) {
        true => Phase::Owed,
        false => Phase::Answer,
    }
}

/// The replica has said something, so it has taken its new connection up.
fn take_turn_back(ctx: &mut Context) {
    if let Some(dial) = ctx.dial.take() {
        dial.is_answered();
    }
}

pub fn endless_interim() -> Box<Error> {
    let what = "interim answers without end";
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}

pub fn too_large_an_answer() -> Box<Error> {
    let what = "the answer's body is larger than max_response_body";
    Error::explain(ErrorType::Custom("AnswerTooLarge"), what).into_up()
}
