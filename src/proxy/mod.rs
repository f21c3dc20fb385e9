//! The request path, as guard clauses over Pingora's hooks.
//!
//! It reads snapshots and never meets the engine or the control loop: a dead Docker daemon cannot
//! stop traffic.

pub mod balance;
mod connection;
mod context;
mod dial;
mod failure;
mod headers;
mod hold;
pub mod hygiene;
mod lean;
mod passive;
mod retry;
pub mod route;
mod tunnel;
mod waiting;

pub use connection::{Bounds, Connected, Front};
pub use context::{Context, InFlight};
pub use hygiene::Limits;

use crate::plugin::{Answer, Filter, Observer, Record, Request, Response, Verdict};
use crate::service::event::Event;
use crate::service::kept;
use crate::service::lease::Lease;
use crate::service::network::{Network, any_contains};
use crate::service::replica::Replica;
use crate::service::spec::Forward;
use crate::service::store::Reader;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use balance::Ask;
use bytes::Bytes;
use connection::{Connection, Phase};
use dial::Dial;
use http::{HeaderValue, Method, StatusCode, Version, header};
use hygiene::{Refusal, Way};
use pingora::connectors::TransportConnector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{HttpPeer, Session};
use pingora::protocols::Digest;
use pingora::protocols::http::ServerSession;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext};
use pingora::{Error, ErrorType, Result};
use retry::{Broken, Reach};
use route::{Routes, Target};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A service without a ready replica is asked for again after this.
const RETRY_AFTER_SECS: &str = "1";
/// What is left of a refused upload is read this long, so that the client sees the answer and
/// not a reset.
const REFUSED_BODY_DRAIN: Duration = Duration::from_secs(2);

/// Filters and observers, in the order in which they run.
#[derive(Clone, Default)]
pub struct Chain {
    pub filters: Vec<Arc<dyn Filter>>,
    pub observers: Vec<Arc<dyn Observer>>,
}

/// What a reload swaps in place.
pub struct Settings {
    pub routes: Routes,
    /// For requests that no route claims.
    pub chain: Chain,
    pub keepalive_timeout: Duration,
    pub client_read_timeout: Duration,
    pub client_write_timeout: Duration,
    pub limits: Limits,
    pub bounds: Bounds,
    /// Proxies whose word on the client counts.
    pub trusted_proxies: Vec<Network>,
}

/// Tells everybody who wants to know what happened to a replica.
pub type Tell = Arc<dyn Fn(&Event) + Send + Sync>;

#[derive(Clone)]
pub struct Edge {
    reader: Reader,
    settings: Arc<ArcSwap<Settings>>,
    in_flight: InFlight,
    tell: Tell,
    /// Connects tunnels; Pingora keeps the one for everything else to itself.
    connector: Arc<TransportConnector>,
}

impl Edge {
    pub fn new(
        reader: Reader,
        settings: Arc<ArcSwap<Settings>>,
        in_flight: InFlight,
        tell: Tell,
    ) -> Edge {
        Edge {
            reader,
            settings,
            in_flight,
            tell,
            connector: Arc::new(TransportConnector::new(None)),
        }
    }

    /// Claims the next replica that this request has not tried, or waits for one.
    async fn claim(&self, ctx: &mut Context) -> Option<Lease> {
        let target = ctx.target.as_ref()?;
        let ask = Ask {
            forward: &target.forward,
            key: ctx.key.as_deref(),
            tried: &ctx.tried,
        };
        let lease = {
            let snapshot = self.reader.load();
            let service = snapshot.service(target.service.as_str())?;
            match hold::is_kept_by_others(service, &target.forward, &ctx.tried) {
                true => None,
                false => balance::claim(service, ask),
            }
        };
        if lease.is_some() {
            return lease;
        }
        let began = Instant::now();
        let patience = target.forward.hold_timeout.saturating_sub(ctx.held);
        let lease = hold::wait(&self.reader, target, ask, patience).await;
        ctx.held += began.elapsed();
        lease
    }

    /// Finds out who asks and, if that is clear, for what.
    fn introduce(&self, head: &RequestHeader, is_clean: bool, ctx: &mut Context) {
        let settings = &ctx.settings;
        let peer = ctx.peer.as_ref().map(|peer| peer.address);
        let trusted = &settings.trusted_proxies;
        ctx.exchange.client = headers::client(head, peer, trusted);
        ctx.exchange.is_trusted = peer.is_some_and(|peer| any_contains(trusted, peer));
        if is_clean {
            let host = host(head).unwrap_or_default();
            ctx.target = settings.routes.find(host, head.uri.path()).cloned();
            let forward = ctx.target.as_ref().map(|target| &target.forward);
            ctx.key = forward.and_then(|it| balance::key(it, &head.headers, ctx.exchange.client));
        }
        ctx.exchange.service = ctx.target.as_ref().map(|target| target.service.clone());
    }

    /// Counts the request and gives it a replica, or says what to answer: there is none, and none
    /// to wait for, or a page waits in its stead.
    async fn admit(&self, head: &RequestHeader, ctx: &mut Context) -> Option<Answer> {
        let Some(target) = ctx.target.clone() else {
            return Some(unavailable());
        };
        let path = head.uri.path();
        let scaler = target.scaler.as_ref();
        let counts = scaler.is_some_and(|scaler| scaler.counts(path));
        if !self.note(&target, counts, ctx.started) {
            hold::until_known(&self.reader, &target).await;
            self.note(&target, counts, ctx.started);
        }
        if target.forward.waiting_page
            && waiting::is_for_a_page(head)
            && let Some(service) = self.reader.load().service(target.service.as_str())
            && service.ready.is_empty()
            && service.coming
        {
            return Some(waiting::page(service.name.as_str()));
        }
        let Some(lease) = self.claim(ctx).await else {
            return Some(unavailable());
        };
        self.take(ctx, lease);
        None
    }

    /// Gives the request another replica, if it has none.
    async fn claim_next(&self, ctx: &mut Context) -> Result<()> {
        if ctx.lease.is_none() {
            let Some(lease) = self.claim(ctx).await else {
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
    fn note(&self, target: &Target, counts: bool, now: Instant) -> bool {
        let snapshot = self.reader.load();
        let service = snapshot.service(target.service.as_str());
        service.is_some_and(|service| {
            service.load.note(counts);
            service.load.keep_time(now);
            true
        })
    }

    /// Whether this request may have one more attempt. What is taken back from a lost replica
    /// takes nothing from the budget: it adds no load to what is in trouble.
    fn may_retry(&self, ctx: &Context) -> bool {
        let Some(target) = &ctx.target else {
            return false;
        };
        let terms = &target.forward.retries;
        let snapshot = self.reader.load();
        let service = snapshot.service(target.service.as_str());
        ctx.attempts < terms.attempts
            && (ctx.is_lost() || service.is_some_and(|service| service.load.may_retry(terms)))
    }

    /// Whether a connection that took too long is tried once more where it was. When nobody else
    /// is there, it waits for this one as it would for one that is on its way: the listen queue
    /// was full, and the kernel asks again only when we have long given up.
    fn dials_again(&self, error: &Error, ctx: &mut Context) -> bool {
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
        ctx.held += forward.connect_timeout;
        ctx.doubt();
        true
    }

    /// Whether the request goes on, to this replica or another, after no connection was made.
    fn was_not_connected(&self, error: &Error, ctx: &mut Context) -> bool {
        if self.dials_again(error, ctx) {
            return true;
        }
        // Nothing was sent, so any method may be tried elsewhere.
        let again = failure::is_connect(error) && self.may_retry(ctx);
        if !ctx.is_lost() {
            ctx.doubt();
        }
        ctx.leave();
        again
    }

    /// Whether the request goes on to another replica after its connection broke.
    fn broke_off(
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
        if ctx.is_lost() {
            // It was taken back: nothing new is learnt of the replica.
        } else if was_used {
            // The connection was stale, which says nothing about the replica.
            ctx.tried.pop();
        } else if failure::is_broken(error) {
            ctx.doubt();
        }
        ctx.leave();
        again
    }

    /// Checks and cleans the head of a replica's answer, and learns from it.
    fn heed_answer(
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
        if let Some(dial) = ctx.dial.take() {
            dial.is_answered();
        }
        if !head.status.is_informational()
            && let Some(lease) = &ctx.lease
        {
            lease.is_answered();
            self.heed(head.status, ctx);
        }
        filter_response(head, ctx);
        Ok(())
    }

    /// Counts what comes of an answer's body, where that has a limit.
    fn count_answered(&self, bytes: usize, ctx: &mut Context) -> Result<()> {
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
    fn report(
        &self,
        ctx: &mut Context,
        head: &RequestHeader,
        status: u16,
        response_body_bytes: u64,
        error: Option<&Error>,
    ) {
        ctx.lease = None;
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

    fn take(&self, ctx: &mut Context, lease: Lease) {
        ctx.attempts += 1;
        ctx.tried.push(lease.replica().generation);
        ctx.exchange.slot = Some(lease.replica().slot);
        ctx.lease = Some(lease);
    }
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.settings.load_full(), &self.in_flight)
    }

    fn init_downstream_modules(&self, _modules: &mut pingora::modules::http::HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        let settings = &ctx.settings;
        if session.is_process_shutting_down() || self.in_flight.ends_connections() {
            session.set_keepalive(None);
        } else {
            session.set_keepalive(Some(settings.keepalive_timeout.as_secs().max(1)));
        }
        session.set_read_timeout(Some(settings.client_read_timeout));
        session.set_write_timeout(Some(settings.client_write_timeout));
        session.set_total_drain_timeout(Some(REFUSED_BODY_DRAIN));
        if let Some(connection) = Connection::of(session) {
            ctx.peer = connection.peer.clone();
            connection.enter(match has_body(session.req_header()) {
                true => Phase::Body,
                false => Phase::Answer,
            });
        }
        if session.req_header().version == Version::HTTP_10 {
            // It knows no interim answers.
            session.set_ignore_info_resp(true);
        }
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        let clean = clean_request(session, &ctx.settings);
        if hygiene::ends_connection(session.req_header()) {
            session.set_keepalive(None);
        }
        self.introduce(session.req_header(), clean == Ok(Way::ToAService), ctx);
        if let Verdict::Answer(answer) = filter_request(session.req_header_mut(), ctx) {
            return respond(session, ctx, answer).await;
        }
        match clean {
            Ok(Way::ToAService) => {}
            Ok(Way::AnsweredHere) => return respond(session, ctx, options()).await,
            Err(refusal) => {
                ctx.refused = Some(refusal);
                return refuse(session, ctx, refusal.status()).await;
            }
        }
        let head = session.req_header();
        let Some(target) = &ctx.target else {
            let answer = match head.uri.path() {
                "/" if [Method::GET, Method::HEAD].contains(&head.method) => front_page(),
                _ => plain(StatusCode::NOT_FOUND),
            };
            return respond(session, ctx, answer).await;
        };
        if content_length(head).is_some_and(|length| length > target.forward.max_request_body_bytes)
        {
            return refuse(session, ctx, StatusCode::PAYLOAD_TOO_LARGE).await;
        }
        if let Some(answer) = self.admit(head, ctx).await {
            return respond(session, ctx, answer).await;
        }
        if tunnel::is_asked_for(session.req_header()) {
            self.tunnel(session, ctx).await?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        ctx: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        self.claim_next(ctx).await?;
        let (Some(lease), Some(target)) = (&ctx.lease, &ctx.target) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let (peer, dial) = peer(lease, &target.forward);
        ctx.dial = Some(dial);
        Ok(Box::new(peer))
    }

    async fn connected_to_upstream(
        &self,
        session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        connection: RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        let lease = ctx.lease.as_mut();
        let may_go_elsewhere = retry::may_be_repeated(session.req_header());
        if !lease.is_some_and(|lease| lease.sends_on(connection, may_go_elsewhere)) {
            return Err(failure::lost());
        }
        ctx.reach = Reach::Head;
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        upstream: &mut RequestHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        // What asks for a WebSocket and is none is an ordinary request: were the upgrade passed
        // on from here, the tunnel could be lost (pingora#946).
        upstream.remove_header(&header::UPGRADE);
        upstream.remove_header(&header::CONNECTION);
        headers::set_forwarded(upstream, ctx.peer.as_ref(), &ctx.settings.trusted_proxies);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<()> {
        // Also asked when there is no body, and always after the head was written.
        ctx.reach = Reach::Sent;
        // An empty last piece would be written as a second end of body (pingora#935).
        if end_of_stream && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        if end_of_stream && let Some(connection) = Connection::of(session) {
            connection.enter(Phase::Answer);
        }
        let Some(target) = &ctx.target else {
            return Ok(());
        };
        ctx.request_body_bytes += body.as_ref().map_or(0, |piece| piece.len() as u64);
        if ctx.request_body_bytes > target.forward.max_request_body_bytes {
            return Err(Error::explain(
                ErrorType::HTTPStatus(StatusCode::PAYLOAD_TOO_LARGE.as_u16()),
                "the request body is larger than max_request_body",
            ));
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<()> {
        self.heed_answer(&session.req_header().method, head, ctx)?;
        if session.req_header().version == Version::HTTP_10
            && head.remove_header(&header::TRANSFER_ENCODING).is_some()
        {
            // It knows no chunks: the answer ends with the connection.
            session.set_keepalive(None);
        }
        if session.is_process_shutting_down() || self.in_flight.ends_connections() {
            session.set_keepalive(None);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        self.count_answered(body.as_ref().map_or(0, Bytes::len), ctx)?;
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let again = self.was_not_connected(&error, ctx);
        error.set_retry(again);
        error
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("replica {}", peer._address));
        let answer_began = session
            .response_written()
            .is_some_and(|response| !response.status.is_informational());
        let body_is_kept = !session.as_ref().retry_buffer_truncated();
        let head = session.req_header();
        let again = self.broke_off(&error, head, answer_began, body_is_kept, client_reused, ctx);
        error.set_retry(again);
        error
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Context,
    ) -> FailToProxy {
        let code = failure::status(error);
        let answered = session
            .response_written()
            .is_some_and(|response| !response.status.is_informational());
        if let Ok(status) = StatusCode::from_u16(code)
            && !answered
            && let Err(error) = refuse(session, ctx, status).await
        {
            log::debug!("the client left before it was told {status}: {error}");
        }
        FailToProxy {
            error_code: code,
            can_reuse_downstream: false,
        }
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Context, _error: &Error) -> bool {
        // Observers see every failure with its reason; a line each would drown the log.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        ctx: &Context,
        error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        log::debug!("attempt {} failed: {error}", ctx.attempts);
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, ctx: &mut Context) {
        let status = session
            .response_written()
            .map_or(0, |response| response.status.as_u16());
        let bytes = session.body_bytes_sent() as u64;
        self.report(ctx, session.req_header(), status, bytes, error);
    }
}

fn peer(lease: &Lease, forward: &Forward) -> (HttpPeer, Arc<Dial>) {
    let replica = lease.replica();
    let mut peer = HttpPeer::new(replica.address, false, String::new());
    peer.group_key = replica.generation;
    let options = &mut peer.options;
    let dial = Arc::new(Dial::new(replica, forward.connect_timeout));
    options.custom_l4 = Some(Arc::clone(&dial) as _);
    options.read_timeout = Some(forward.read_timeout);
    options.write_timeout = Some(forward.write_timeout);
    options.idle_timeout = Some(kept::IDLE_MAX);
    (peer, dial)
}

fn host(head: &RequestHeader) -> Option<&str> {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    authority.or_else(|| head.headers.get(header::HOST)?.to_str().ok())
}

fn has_body(head: &RequestHeader) -> bool {
    head.headers.contains_key(header::TRANSFER_ENCODING)
        || content_length(head).is_some_and(|length| length > 0)
}

fn content_length(head: &RequestHeader) -> Option<u64> {
    head.headers.get(header::CONTENT_LENGTH).and_then(number)
}

fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

fn too_large_an_answer() -> Box<Error> {
    let what = "the answer's body is larger than max_response_body";
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}

fn clean_request(session: &mut Session, settings: &Settings) -> std::result::Result<Way, Refusal> {
    let raw = match session.as_downstream() {
        ServerSession::H1(session) => session.get_headers_raw_bytes(),
        // Frames have no text.
        _ => Bytes::new(),
    };
    hygiene::request(session.req_header_mut(), &raw, &settings.limits)
}

fn filter_request(head: &mut RequestHeader, ctx: &mut Context) -> Verdict {
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

fn filter_response(head: &mut ResponseHeader, ctx: &Context) {
    let mut response = Response {
        head,
        exchange: &ctx.exchange,
    };
    for filter in &ctx.chain().filters {
        filter.response(&mut response);
    }
}

/// Answers instead of a service. Returns true, as `request_filter` wants it.
async fn respond(session: &mut Session, ctx: &Context, answer: Answer) -> Result<bool> {
    let body = answer.body.clone();
    let mut head = answer_head(answer)?;
    filter_response(&mut head, ctx);
    let bodiless = session.req_header().method == Method::HEAD;
    let end = bodiless || body.is_empty();
    session.write_response_header(Box::new(head), end).await?;
    if !end {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(true)
}

fn answer_head(answer: Answer) -> Result<ResponseHeader> {
    let mut head = ResponseHeader::build(answer.status, Some(answer.headers.len() + 4))?;
    for (name, value) in answer.headers {
        head.insert_header(name, value)?;
    }
    head.insert_header(header::CONTENT_LENGTH, answer.body.len())?;
    Ok(head)
}

/// Turns a request down that is not as it should be, and with it the rest of its connection.
async fn refuse(session: &mut Session, ctx: &Context, status: StatusCode) -> Result<bool> {
    session.set_keepalive(None);
    respond(session, ctx, plain(status)).await
}

fn plain(status: StatusCode) -> Answer {
    Answer {
        status,
        headers: vec![(
            "content-type",
            HeaderValue::from_static("text/plain; charset=utf-8"),
        )],
        body: Bytes::from(format!("{status}\n")),
    }
}

fn unavailable() -> Answer {
    let mut answer = plain(StatusCode::SERVICE_UNAVAILABLE);
    let seconds = HeaderValue::from_static(RETRY_AFTER_SECS);
    answer.headers.push(("retry-after", seconds));
    answer
}

/// What this hop can do, for who asks it and nobody behind it.
fn options() -> Answer {
    let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    Answer {
        status: StatusCode::OK,
        headers: vec![("allow", allow)],
        body: Bytes::new(),
    }
}

fn front_page() -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: vec![(
            "content-type",
            HeaderValue::from_static("text/html; charset=utf-8"),
        )],
        body: Bytes::from_static(include_bytes!("front_page.html")),
    }
}
