//! A request of any client to any replica: the order of `request/serve.rs` around
//! the exchange.

use super::asker::Asker;
use super::exchange::Exchange;
use super::outgoing::Outgoing;
use super::upload::Upload;
use crate::plugin::Answer;
use crate::proxy::answers::own::plain;
use crate::proxy::edge::Edge;
use crate::proxy::http1::fields::content_length;
use crate::proxy::http1::head::Spelling;
use crate::proxy::hygiene::{Refusal, Way};
use crate::proxy::request::context::Context;
use crate::proxy::request::failure;
use crate::proxy::request::filters::{self, Stage};
use crate::proxy::request::grpc::{self, Dialect};
use crate::proxy::request::retry::BODY_KEPT_BYTES;
use crate::proxy::request::serve::{Filtered, Stop};
use bytes::BytesMut;
use http::{HeaderMap, StatusCode, header};
use pingora::http::RequestHeader;
use pingora::{Error, ErrorSource, Result};

/// A request before its claim.
pub struct Arrived<'a, A> {
    pub asker: &'a mut A,
    pub head: &'a mut RequestHeader,
}

impl<A: Asker> Filtered for Arrived<'_, A> {
    fn head(&mut self) -> &mut RequestHeader {
        self.head
    }

    async fn filter(&mut self, ctx: &mut Context, stage: Stage) -> Result<Option<Answer>> {
        filters::pass(self.asker, self.head, ctx, stage).await
    }
}

impl Edge {
    /// Serves a request whose head was introduced: `clean` is what came of that. Returns the
    /// failure, whose status the client was told if it could be.
    pub(in crate::proxy) async fn serve<A: Asker>(
        &self,
        asker: &mut A,
        head: &mut RequestHeader,
        clean: std::result::Result<Way, Refusal>,
        spelling: &Spelling,
        ctx: &mut Context,
    ) -> Option<Box<Error>> {
        let error = self
            .pass_on(asker, head, clean, spelling, ctx)
            .await
            .err()?;
        Some(Box::pin(tell_failure(asker, head, ctx, error)).await)
    }

    async fn pass_on<A: Asker>(
        &self,
        asker: &mut A,
        head: &mut RequestHeader,
        clean: std::result::Result<Way, Refusal>,
        spelling: &Spelling,
        ctx: &mut Context,
    ) -> Result<()> {
        let is_chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
        let mut arrived = Arrived { asker, head };
        let arrival = match self.guards(&mut arrived, clean, ctx).await? {
            Ok(arrival) => arrival,
            Err(Stop::Refuse(status)) => {
                asker.end_connection();
                return say(asker, head, ctx, plain(status)).await;
            }
            Err(Stop::Answer(answer)) => {
                asker.skip_body();
                return say(asker, head, ctx, answer).await;
            }
        };
        let length = content_length(head).unwrap_or(0);
        let body = match head.headers.contains_key(header::EXPECT) {
            // Read before a replica is asked: a slow client keeps none busy.
            false if (1..=BODY_KEPT_BYTES).contains(&length) => {
                asker.whole_body(length as usize).await?
            }
            _ => BytesMut::new(),
        };
        if let Some(answer) = self.admit(asker, arrival, ctx).await? {
            asker.skip_body();
            return say(asker, head, ctx, answer).await;
        }
        let limit = ctx.route.as_ref();
        let limit = limit.map_or(0, |route| route.forward.max_request_body_bytes);
        let upload = match is_chunked || length > body.len() as u64 {
            true => Upload::new(is_chunked, limit, ctx.chain().owned()),
            false => Upload::none(),
        };
        let body_bytes = body.len() as u64;
        let request = Outgoing::of(head, spelling, ctx, body)?;
        let mut exchange = Exchange {
            asker,
            head,
            request: &request,
            upload,
            body_bytes,
        };
        self.attempts(&mut exchange, head, ctx).await
    }
}

/// Tells the client of a failure, if nothing of an answer has left, and returns it.
pub async fn tell_failure(
    asker: &mut impl Asker,
    request: &RequestHeader,
    ctx: &mut Context,
    error: Box<Error>,
) -> Box<Error> {
    asker.end_connection();
    let is_grpc = || Dialect::of(&request.headers) == Some(Dialect::Native);
    if *error.esource() == ErrorSource::Upstream && asker.has_begun() && is_grpc() {
        // A reset would say less.
        let _ = asker.end(grpc::broken_off()).await;
        return error;
    }
    if !asker.has_begun()
        && let Ok(status) = StatusCode::from_u16(failure::status(&error))
        && let Err(error) = say(asker, request, ctx, plain(status)).await
    {
        log::debug!("the client left before it was told {status}: {error}");
    }
    error
}

/// Answers instead of a service.
pub async fn say(
    asker: &mut impl Asker,
    request: &RequestHeader,
    ctx: &mut Context,
    answer: Answer,
) -> Result<()> {
    let (head, body) = filters::own_answer(answer, request, ctx)?;
    asker.head(head, &Spelling::default(), true);
    asker.piece(body).await?;
    asker.end(HeaderMap::new()).await
}
