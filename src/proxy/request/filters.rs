//! Filters of one request and its answer, on every way that these may take.

use super::caller::Caller;
use super::context::Context;
use super::forwarded::Forwarded;
use super::grpc::{self, Dialect};
use super::retry::BODY_KEPT_BYTES;
use super::secure;
use super::transforms::Transforms;
use crate::plugin::{Answer, Origin, Request, Verdict};
use crate::proxy::answers::own::{answer_head, plain, unavailable};
use crate::proxy::chain::{Due, Passed};
use crate::proxy::http1::fields::content_length;
use bytes::Bytes;
use http::{StatusCode, header};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use std::time::Duration;
use tokio::time::timeout;

/// A filter decides within this.
const DECISION_WITHIN: Duration = Duration::from_secs(30);

/// Which filters a request passes.
#[derive(Clone, Copy)]
pub enum Stage {
    /// Those that see every request.
    All,
    /// The others, which see clean requests with a route.
    Routed,
}

/// A client whose request waits for the verdict of filters.
pub trait Asking: Caller {
    /// Reads a request's whole body, which is still sent on later. `None`: more than `max` bytes
    /// came; a declared length is within it.
    fn peek_body(
        &mut self,
        head: &RequestHeader,
        max: usize,
        patience: Duration,
    ) -> impl Future<Output = Result<Option<Bytes>>> + Send;
}

/// Passes a request through the filters of a stage, up to one that has no verdict yet.
pub fn ask(head: &mut RequestHeader, ctx: &mut Context, stage: Stage) -> Passed {
    let (chain, exchange) = ctx.filters();
    let places = match stage {
        Stage::All => chain.seeing_all(),
        Stage::Routed => chain.seeing_routed(),
    };
    chain.ask(places, &mut Request { head, exchange })
}

/// Passes a request through all filters of a stage, however long they take.
pub async fn pass(
    client: &mut impl Asking,
    head: &mut RequestHeader,
    ctx: &mut Context,
    stage: Stage,
) -> Result<Option<Answer>> {
    match ask(head, ctx, stage) {
        Passed::Through => Ok(None),
        Passed::Answered(answer) => Ok(Some(answer)),
        // On the heap, so that the others do not carry room for it.
        Passed::Stopped(place, due) => {
            Box::pin(settle(client, head, ctx, stage, (place, due))).await
        }
    }
}

/// Removes headers that the client has no say in: claims about itself, and those that filters own.
pub fn disown(head: &mut RequestHeader, ctx: &mut Context) {
    let trusted = &ctx.settings.trusted_proxies;
    ctx.forwarded = Forwarded::take(head, ctx.peer.as_ref(), &ctx.scheme, trusted);
    ctx.chain().disown(head);
    secure::certify_client(head, ctx);
}

/// Waits for the verdict of the filter where a request has stopped, and of those behind it.
/// Fails when the client leaves meanwhile.
pub async fn settle(
    client: &mut impl Asking,
    head: &mut RequestHeader,
    ctx: &mut Context,
    stage: Stage,
    stopped: (usize, Due),
) -> Result<Option<Answer>> {
    let patience = ctx.settings.client_read_timeout;
    let (chain, exchange) = ctx.filters();
    let end = match stage {
        Stage::All => chain.seeing_all().end,
        Stage::Routed => chain.seeing_routed().end,
    };
    let mut request = Request { head, exchange };
    let (mut place, mut due) = stopped;
    let mut asked = 0;
    loop {
        let filter = chain.filter(place);
        let verdict = match due {
            Due::Decision => tokio::select! {
                biased;
                left = client.left() => return Err(left),
                decided = timeout(DECISION_WITHIN, filter.decide(&mut request)) => {
                    decided.unwrap_or_else(|_| Verdict::Answer(unavailable()))
                }
            },
            Due::Body(max) => {
                let max = max.min(BODY_KEPT_BYTES as usize);
                let fits = content_length(request.head).is_none_or(|length| length <= max as u64);
                let body = match fits {
                    true => client.peek_body(request.head, max, patience).await?,
                    false => None,
                };
                match body {
                    Some(body) => {
                        // The client has been told to send it.
                        request.head.remove_header(&header::EXPECT);
                        filter.body(&mut request, &body)
                    }
                    None => Verdict::Answer(plain(StatusCode::PAYLOAD_TOO_LARGE)),
                }
            }
        };
        asked += 1;
        due = match verdict {
            Verdict::Continue => match chain.ask(place + 1..end, &mut request) {
                Passed::Through => return Ok(None),
                Passed::Answered(answer) => return Ok(Some(answer)),
                Passed::Stopped(next, due) => {
                    (place, asked) = (next, 0);
                    due
                }
            },
            Verdict::Answer(answer) => return Ok(Some(answer)),
            // This filter has had both.
            Verdict::Wait | Verdict::Body(_) if asked > 1 => return Ok(Some(unavailable())),
            Verdict::Wait => Due::Decision,
            Verdict::Body(max) => Due::Body(max),
        };
    }
}

/// Shows a replica's answer to the filters. Returns the body of another answer, if one of them
/// gave it; otherwise `ctx.transforms` has what the replica's has to pass.
pub fn answer(
    head: &mut ResponseHeader,
    request: &RequestHeader,
    ctx: &mut Context,
) -> Result<Option<Bytes>> {
    if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(None);
    }
    let (chain, exchange) = ctx.filters();
    let (changes, instead) = chain.answer(head, request, exchange, Origin::Replica)?;
    secure::add_hsts(head, ctx);
    let mut transforms = Transforms::new(changes.transforms);
    if let Some(body) = instead {
        return transforms.pass_whole(body, head).map(Some);
    }
    transforms.announce(head)?;
    ctx.transforms = transforms;
    Ok(None)
}

/// Makes head and body of an answer of the edge's own, and shows them to the filters.
pub fn own_answer(
    answer: Answer,
    request: &RequestHeader,
    ctx: &mut Context,
) -> Result<(ResponseHeader, Bytes)> {
    let body = answer.body.clone();
    let mut head = answer_head(answer)?;
    let (chain, exchange) = ctx.filters();
    let (changes, instead) = chain.answer(&mut head, request, exchange, Origin::Edge)?;
    secure::add_hsts(&mut head, ctx);
    let refused = head.status;
    if let Some(dialect) = Dialect::of(&request.headers)
        && grpc::refuse(&mut head, dialect)?
    {
        ctx.refused_with = Some(refused);
        return Ok((head, Bytes::new()));
    }
    let mut transforms = Transforms::new(changes.transforms);
    let body = transforms.pass_whole(instead.unwrap_or(body), &mut head)?;
    Ok((head, body))
}

#[cfg(test)]
#[path = "filters_tests.rs"]
mod tests;
