//! The order of decisions about a request, the same on every way that its bytes travel: the head
//! is cleaned and a route found (`introduce`), filters and refusals come next (`guards`), then the
//! claim (`admit`), then one attempt after another until a replica has answered (`attempts`).
//!
//! ```text
//! introduce -> guards -> admit -> attempts: claim_next -> ask -> judge -.
//!                 |        |                    ^                       |
//!                 '-> Stop '-> Answer           '------- again ---------'
//! ```
//!
//! Pingora loops by itself, so its hooks call `claim_next` and `judge` where `attempts` does.

use super::arrival::Arrival;
use super::caller::Caller;
use super::context::Context;
use super::filters::{self, Stage};
use super::judge::Failed;
use super::secure;
use crate::plugin::Answer;
use crate::proxy::answers::own::{front_page, options, plain};
use crate::proxy::edge::Edge;
use crate::proxy::http1::fields::content_length;
use crate::proxy::hygiene::{Refusal, Way};
use http::{Method, StatusCode};
use pingora::Result;
use pingora::http::RequestHeader;

/// The end of a request that no replica sees.
pub enum Stop {
    Answer(Answer),
    /// The answer is this status, and the connection ends with it.
    Refuse(StatusCode),
}

/// A request before its claim, wherever its head is kept.
pub trait Filtered: Send {
    fn head(&mut self) -> &mut RequestHeader;

    /// Passes the request through the filters of a stage.
    fn filter(
        &mut self,
        ctx: &mut Context,
        stage: Stage,
    ) -> impl Future<Output = Result<Option<Answer>>> + Send;
}

/// One way of asking the replica that a request has.
pub trait Attempt: Send {
    type Caller: Caller;
    type Answered;

    fn caller(&mut self) -> &mut Self::Caller;

    fn ask(
        &mut self,
        edge: &Edge,
        ctx: &mut Context,
    ) -> impl Future<Output = std::result::Result<Self::Answered, Failed>> + Send;
}

impl Edge {
    /// Runs the filters that see all, refuses what hygiene refused, what came over the wrong
    /// connection and what has no route, runs the other filters, and refuses a body that says it
    /// is too large.
    pub(in crate::proxy) async fn guards(
        &self,
        request: &mut impl Filtered,
        clean: std::result::Result<Way, Refusal>,
        ctx: &mut Context,
    ) -> Result<std::result::Result<Arrival, Stop>> {
        if let Some(answer) = request.filter(ctx, Stage::All).await? {
            return Ok(Err(Stop::Answer(answer)));
        }
        match clean {
            Ok(Way::ToAService(_)) => {}
            Ok(Way::AnsweredHere) => return Ok(Err(Stop::Answer(options()))),
            Err(refusal) => {
                ctx.refused = Some(refusal);
                return Ok(Err(Stop::Refuse(refusal.status())));
            }
        }
        if let Some(answer) = secure::instead(request.head(), ctx) {
            return Ok(Err(Stop::Answer(answer)));
        }
        if ctx.route.is_none() {
            let head = request.head();
            return Ok(Err(Stop::Answer(match head.uri.path() {
                "/" if [Method::GET, Method::HEAD].contains(&head.method) => front_page(),
                _ => plain(StatusCode::NOT_FOUND),
            })));
        }
        filters::disown(request.head(), ctx);
        if let Some(answer) = request.filter(ctx, Stage::Routed).await? {
            return Ok(Err(Stop::Answer(answer)));
        }
        let head = request.head();
        let route = ctx.route.as_ref();
        let max = route.map(|route| route.forward.max_request_body_bytes);
        if content_length(head) > max {
            return Ok(Err(Stop::Refuse(StatusCode::PAYLOAD_TOO_LARGE)));
        }
        Ok(Ok(Arrival::of(head, ctx)))
    }

    /// Asks one replica after another until one has answered or no other may be asked. The first
    /// one was claimed by `admit`.
    pub(in crate::proxy) async fn attempts<A: Attempt>(
        &self,
        attempt: &mut A,
        head: &RequestHeader,
        ctx: &mut Context,
    ) -> Result<A::Answered> {
        loop {
            let failed = match attempt.ask(self, ctx).await {
                Ok(answered) => return Ok(answered),
                Err(failed) => failed,
            };
            if !self.judge(&failed, head, ctx) {
                return Err(failed.error);
            }
            log::debug!("attempt {} failed: {}", ctx.attempts, failed.error);
            self.claim_next(attempt.caller(), ctx).await?;
        }
    }
}
