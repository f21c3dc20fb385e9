//! What is decided about a request, in the same words on every way that it may take: through
//! Pingora's hooks, on the short way, or as a tunnel.

use super::caller::{self, Caller};
use super::context::{Context, INTERIM_ANSWERS_MAX};
use super::retry::Broken;
use super::{failure, forwarded, hold};
use crate::proxy::answers::own::unavailable;
use crate::proxy::answers::waiting;
use crate::proxy::balance::{self, Ask};
use crate::proxy::connection::Phase;
use crate::proxy::edge::Edge;
use crate::proxy::hygiene::{self, Refusal, Slashes, Way};
use crate::proxy::route::Target;
use crate::proxy::upstream::dial::{self, Patience};
use crate::plugin::{Answer, Record, Request, Response, Verdict};
use crate::service::network::any_contains;
use crate::service::replica::Replica;
use crate::service::replica::gate::UNLIMITED;
use crate::service::replica::lease::Lease;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::sync::Arc;
use std::time::Instant;

impl Edge {
    /// Claims the next replica that this request has not tried, or waits for one. Fails when its
    /// client leaves meanwhile.
    pub(in crate::proxy) async fn claim(
        &self,
        caller: &mut impl Caller,
        ctx: &mut Context,
    ) -> Result<Option<Lease>> {
        let Some(target) = &ctx.target else {
            return Ok(None);
        };
        let ask = Ask {
            forward: &target.forward,
            key: ctx.key.as_deref(),
            tried: &ctx.tried,
        };
        let lease = {
            let snapshot = self.reader.load();
            let Some(service) = snapshot.service(target.service.as_str()) else {
                return Ok(None);
            };
            match hold::is_kept_by_others(service, &target.forward, &ctx.tried) {
                true => None,
                false => balance::claim(service, ask),
            }
        };
        if lease.is_some() {
            return Ok(lease);
        }
        let began = Instant::now();
        let patience = target.forward.hold_timeout.saturating_sub(ctx.held);
        let waited = tokio::select! {
            biased;
            left = caller.left() => Err(left),
            lease = hold::wait(&self.reader, target, ask, patience) => Ok(lease),
        };
        ctx.held += began.elapsed();
        match waited {
            Ok(Some(_)) if caller.has_left() => Err(caller::gone()),
            waited => waited,
        }
    }

    /// Finds out who asks and, if that is clear, for what.
    pub(in crate::proxy) fn introduce(
        &self,
        head: &RequestHeader,
        clean: std::result::Result<Way, Refusal>,
        ctx: &mut Context,
    ) -> std::result::Result<Way, Refusal> {
        let settings = &ctx.settings;
        let peer = ctx.peer.as_ref().map(|peer| peer.address);
        let trusted = &settings.trusted_proxies;
        ctx.exchange.client = forwarded::client(head, peer, trusted);
        ctx.exchange.is_trusted = peer.is_some_and(|peer| any_contains(trusted, peer));
        let mut clean = clean;
        if let Ok(Way::ToAService(slashes)) = clean {
            let host = host(head).unwrap_or_default();
            ctx.target = settings.routes.find(host, head.uri.path()).cloned();
            let keeps = |target: &Arc<Target>| target.keeps_encoded_slashes;
            if slashes == Slashes::Encoded && !ctx.target.as_ref().is_some_and(keeps) {
                ctx.target = None;
                clean = Err(Refusal::EncodedSlash);
            }
            let forward = ctx.target.as_ref().map(|target| &target.forward);
            ctx.key = forward.and_then(|it| balance::key(it, &head.headers, ctx.exchange.client));
        }
        ctx.exchange.service = ctx.target.as_ref().map(|target| target.service.clone());
        clean
    }

    /// Counts the request and gives it a replica, or says what to answer: there is none, and none
    /// to wait for, or a page waits in its stead.
    pub(in crate::proxy) async fn admit(
        &self,
        caller: &mut impl Caller,
        arrival: Arrival,
        ctx: &mut Context,
    ) -> Result<Option<Answer>> {
        let Some(target) = ctx.target.clone() else {
            return Ok(Some(unavailable()));
        };
        if !self.note(&target, arrival.counts, ctx.started) {
            tokio::select! {
                biased;
                left = caller.left() => return Err(left),
                () = hold::until_known(&self.reader, &target) => {}
            }
            self.note(&target, arrival.counts, ctx.started);
        }
        if arrival.wants_a_page
            && let Some(service) = self.reader.load().service(target.service.as_str())
            && service.ready.is_empty()
            && service.coming
        {
            return Ok(Some(waiting::page(service.name.as_str())));
        }
        let Some(lease) = self.claim(caller, ctx).await? else {
            return Ok(Some(unavailable()));
        };
        self.take(ctx, lease);
        Ok(None)
    }

    /// Gives the request another replica, if it has none.
    pub(in crate::proxy) async fn claim_next(
        &self,
        caller: &mut impl Caller,
        ctx: &mut Context,
    ) -> Result<()> {
        if ctx.lease.is_none() {
            let Some(lease) = self.claim(caller, ctx).await? else {
                return Err(Error::explain(
                    ErrorType::HTTPStatus(StatusCode::BAD_GATEWAY.as_u16()),
                    "every ready replica was tried",
                ));
            };
            self.take(ctx, lease);
        }
        Ok(())
    }

    /// Counts a request; false when nobody has published its service yet.
    pub(in crate::proxy) fn note(&self, target: &Target, counts: bool, now: Instant) -> bool {
        let snapshot = self.reader.load();
        let service = snapshot.service(target.service.as_str());
        service.is_some_and(|service| {
            service.load.note(counts);
            service.load.keep_time(now);
            true
        })
    }

    /// Whether this request may have one more attempt. What is taken back from a lost replica, or
    /// was never sent because its turn did not come, takes nothing from the budget: it adds no load
    /// to what is in trouble.
    pub(in crate::proxy) fn may_retry(&self, ctx: &Context) -> bool {
        let Some(target) = &ctx.target else {
            return false;
        };
        let terms = &target.forward.retries;
        let snapshot = self.reader.load();
        let service = snapshot.service(target.service.as_str());
        let left_the_line = ctx.dial.as_ref().is_some_and(|dial| dial.left_the_line());
        let is_free = ctx.is_lost() || left_the_line;
        ctx.attempts < terms.attempts
            && (is_free || service.is_some_and(|service| service.load.may_retry(terms)))
    }

    /// How long the request waits for its turn to connect to the replica that it has.
    pub(in crate::proxy) fn patience(&self, ctx: &Context) -> Patience {
        let Some(target) = &ctx.target else {
            return Patience::Little;
        };
        let forward = &target.forward;
        let snapshot = self.reader.load();
        let service = snapshot.service(target.service.as_str());
        let would_do = |replica: &Arc<Replica>| {
            !ctx.tried.contains(&replica.generation)
                && !replica.doubt.is_raised()
                && replica.gate.is_open()
        };
        let is_another = service.is_some_and(|service| service.ready.iter().any(would_do));
        match is_another && ctx.attempts < forward.retries.attempts {
            true => Patience::Little,
            false => {
                let left = forward.hold_timeout.saturating_sub(ctx.held);
                Patience::Until(left.max(forward.connect_timeout))
            }
        }
    }

    /// Whether a connection that took too long is tried once more where it was. When nobody else
    /// is there, it waits for this one as it would for one that is on its way: the listen queue
    /// was full, and the kernel asks again only when we have long given up.
    pub(in crate::proxy) fn dials_again(&self, error: &Error, ctx: &mut Context) -> bool {
        let Some(target) = &ctx.target else {
            return false;
        };
        let forward = &target.forward;
        let timed_out = *error.etype() == ErrorType::ConnectTimedout;
        if !timed_out || ctx.is_lost() || ctx.held >= forward.hold_timeout {
            return false;
        }
        let snapshot = self.reader.load();
        let is_other = |replica: &Arc<Replica>| !ctx.tried.contains(&replica.generation);
        let service = snapshot.service(target.service.as_str());
        if service.is_none_or(|service| service.ready.iter().any(is_other)) {
            return false;
        }
        ctx.held += match &ctx.dial {
            Some(dial) => dial.took(),
            None => forward.connect_timeout,
        };
        ctx.doubt();
        true
    }

    /// Whether the request goes on, to this replica or another, after no connection was made.
    pub(in crate::proxy) fn was_not_connected(&self, error: &Error, ctx: &mut Context) -> bool {
        if *error.esource() == ErrorSource::Downstream {
            ctx.leave();
            return false;
        }
        if self.dials_again(error, ctx) {
            return true;
        }
        ctx.blame(error);
        // Nothing was sent, so any method may be tried elsewhere.
        let again = failure::is_connect(error) && self.may_retry(ctx);
        if !ctx.is_lost() {
            ctx.doubt();
        }
        ctx.leave();
        again
    }

    /// Whether the request goes on to another replica after its connection broke.
    pub(in crate::proxy) fn broke_off(
        &self,
        error: &Error,
        head: &RequestHeader,
        answer_began: bool,
        body_is_kept: bool,
        was_used: bool,
        ctx: &mut Context,
    ) -> bool {
        let broken = Broken {
            error,
            reach: ctx.reach,
            answer_began,
            body_is_kept,
            is_idempotent: head.method.is_idempotent(),
        };
        let again = broken.may_go_elsewhere() && self.may_retry(ctx);
        let is_stale = was_used && failure::is_broken(error) && again;
        if *error.esource() == ErrorSource::Upstream && !is_stale {
            ctx.blame(error);
        }
        if ctx.is_lost() {
            // It was taken back: nothing new is learnt of the replica.
        } else if was_used && failure::is_broken(error) {
            // The connection was stale, which says nothing about the replica.
            ctx.tried.pop();
        } else if failure::is_broken(error) {
            ctx.doubt();
        } else if failure::is_malformed(error) {
            // The client gets this as an answer.
            self.heed(StatusCode::BAD_GATEWAY, ctx);
        }
        ctx.leave();
        again
    }

    /// Checks and cleans the head of a replica's answer, and learns from it.
    pub(in crate::proxy) fn heed_answer(
        &self,
        method: &Method,
        head: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
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
            lease.replica().connections.kept.announced(timeout);
        }
        hygiene::response(head)
            .map_err(|broken| Error::explain(ErrorType::InvalidHTTPHeader, broken).into_up())?;
        let forward = ctx.target.as_ref().map(|target| &target.forward);
        let limit = forward.and_then(|forward| forward.max_response_body_bytes);
        let length = head.headers.get(header::CONTENT_LENGTH).and_then(number);
        if limit
            .zip(length)
            .is_some_and(|(limit, length)| length > limit)
            && *method != Method::HEAD
            && head.status != StatusCode::NOT_MODIFIED
        {
            return Err(too_large_an_answer());
        }
        match head.status.is_informational() {
            true => take_turn_back(ctx),
            false => self.is_answered(head.status, ctx),
        }
        filter_response(head, ctx);
        Ok(())
    }

    /// Learns from an answer of this status.
    pub(in crate::proxy) fn is_answered(&self, status: StatusCode, ctx: &mut Context) {
        take_turn_back(ctx);
        if let Some(lease) = &ctx.lease {
            lease.is_answered();
            self.heed(status, ctx);
        }
    }

    /// Counts what comes of an answer's body, where that has a limit.
    pub(in crate::proxy) fn count_answered(&self, bytes: usize, ctx: &mut Context) -> Result<()> {
        let limit = ctx.target.as_ref().map(|target| &target.forward);
        if let Some(limit) = limit.and_then(|forward| forward.max_response_body_bytes) {
            ctx.response_body_bytes += bytes as u64;
            if ctx.response_body_bytes > limit {
                return Err(too_large_an_answer());
            }
        }
        Ok(())
    }

    /// Gives the lease back and tells the observers what became of the request.
    pub(in crate::proxy) fn report(
        &self,
        ctx: &mut Context,
        head: &RequestHeader,
        status: u16,
        response_body_bytes: u64,
        error: Option<&Error>,
    ) {
        ctx.lease = None;
        self.complain(ctx, status, error);
        let text = error.map(ToString::to_string).or(ctx.cut.take());
        let text = text.or_else(|| ctx.refused.map(|refusal| refusal.to_string()));
        let duration = ctx.started.elapsed();
        if let Some(target) = &ctx.target
            && let Some(service) = self.reader.load().service(target.service.as_str())
        {
            service.load.answers.note(status, duration);
        }
        let record = Record {
            exchange: &ctx.exchange,
            method: &head.method,
            target: head
                .uri
                .path_and_query()
                .map_or("/", |target| target.as_str()),
            host: host(head),
            status,
            slot: ctx.exchange.slot,
            duration,
            held: ctx.held,
            retries: ctx.attempts.saturating_sub(1),
            request_body_bytes: ctx.request_body_bytes,
            response_body_bytes,
            error: text.as_deref(),
        };
        for observer in &ctx.chain().observers {
            observer.request(&record);
        }
    }

    pub(in crate::proxy) fn take(&self, ctx: &mut Context, lease: Lease) {
        ctx.attempts += 1;
        ctx.tried.push(lease.replica().generation);
        ctx.exchange.slot = Some(lease.replica().slot);
        ctx.lease = Some(lease);
    }
}

/// A request as it comes, before it has a replica.
pub(in crate::proxy) struct Arrival {
    /// For the scaler.
    counts: bool,
    /// A person waits for it, who may be shown a page meanwhile.
    wants_a_page: bool,
}

impl Arrival {
    pub(in crate::proxy) fn of(head: &RequestHeader, ctx: &Context) -> Arrival {
        let target = ctx.target.as_ref();
        let scaler = target.and_then(|target| target.scaler.as_ref());
        Arrival {
            counts: scaler.is_some_and(|scaler| scaler.counts(head.uri.path())),
            wants_a_page: target.is_some_and(|target| target.forward.waiting_page)
                && waiting::is_for_a_page(head),
        }
    }
}

/// In which phase a connection is while the answer to its request, which was sent, is awaited.
/// A replica with a limit keeps its place until it is done, whether its client is still there or
/// not: what works on for nobody takes as much of it.
pub(in crate::proxy) fn awaits_answer(ctx: &Context) -> Phase {
    let limit = ctx.target.as_ref().map(|target| target.forward.limit());
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

pub(in crate::proxy) fn host(head: &RequestHeader) -> Option<&str> {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    authority.or_else(|| head.headers.get(header::HOST)?.to_str().ok())
}

pub(in crate::proxy) fn content_length(head: &RequestHeader) -> Option<u64> {
    head.headers.get(header::CONTENT_LENGTH).and_then(number)
}

pub(in crate::proxy) fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

pub(in crate::proxy) fn endless_interim() -> Box<Error> {
    let what = "interim answers without end";
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}

pub(in crate::proxy) fn too_large_an_answer() -> Box<Error> {
    let what = "the answer's body is larger than max_response_body";
    Error::explain(ErrorType::Custom("AnswerTooLarge"), what).into_up()
}

pub(in crate::proxy) fn filter_request(head: &mut RequestHeader, ctx: &mut Context) -> Verdict {
    let Context {
        settings,
        exchange,
        target,
        ..
    } = ctx;
    let chain = target
        .as_ref()
        .map_or(&settings.chain, |target| &target.chain);
    let mut request = Request { head, exchange };
    for filter in &chain.filters {
        if let Verdict::Answer(answer) = filter.request(&mut request) {
            return Verdict::Answer(answer);
        }
    }
    Verdict::Continue
}

pub(in crate::proxy) fn filter_response(head: &mut ResponseHeader, ctx: &Context) {
    let mut response = Response {
        head,
        exchange: &ctx.exchange,
    };
    for filter in &ctx.chain().filters {
        filter.response(&mut response);
    }
}
