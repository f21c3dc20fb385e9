//! The long way: the request path as guard clauses over Pingora's hooks.

use super::plain::client::REFUSED_BODY_DRAIN;
use crate::plugin::Answer;
use crate::proxy::answers::own::plain;
use crate::proxy::chain::Passed;
use crate::proxy::door::{Connection, Phase};
use crate::proxy::edge::Edge;
use crate::proxy::http1::fields::{asks_for_websocket, content_length, has_token};
use crate::proxy::request::answered::awaits_answer;
use crate::proxy::request::caller::{self, Caller};
use crate::proxy::request::context::Context;
use crate::proxy::request::failure;
use crate::proxy::request::filters::{self, Asking, Stage};
use crate::proxy::request::judge::{Broke, Failed};
use crate::proxy::request::retry::{self, Reach};
use crate::proxy::request::serve::{Filtered, Stop};
use crate::proxy::upstream::peer::peer;
use crate::service::replica::idle_pool;
use crate::service::spec::Protocol;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{HttpPeer, Session};
use pingora::protocols::Digest;
use pingora::protocols::http::ServerSession;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext};
use pingora::{Error, ErrorType, Result};
use std::os::fd::RawFd;
use std::time::Duration;

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.settings.load_full(), &self.in_flight)
    }

    fn init_downstream_modules(&self, _modules: &mut pingora::modules::http::HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        let settings = &ctx.settings;
        session.set_keepalive(Some(settings.keepalive_timeout.as_secs().max(1)));
        session.set_read_timeout(Some(settings.client_read_timeout));
        session.set_write_timeout(Some(settings.client_write_timeout));
        session.set_total_drain_timeout(Some(REFUSED_BODY_DRAIN));
        if let Some(connection) = Connection::of(session) {
            ctx.came_on(&connection.wire);
            let head = session.req_header();
            let is_chunked = head.headers.contains_key(header::TRANSFER_ENCODING);
            connection.expect((!is_chunked).then(|| content_length(head).unwrap_or(0)));
        }
        if session.req_header().version == Version::HTTP_10 {
            // An HTTP/1.0 client knows no interim answers.
            session.set_ignore_info_resp(true);
        }
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, ctx: &mut Context) -> Result<bool> {
        let raw = match session.as_downstream() {
            ServerSession::H1(session) => session.get_headers_raw_bytes(),
            // Frames have no text.
            _ => Bytes::new(),
        };
        let clean = self.introduce(session.req_header_mut(), &raw, ctx);
        if !self.keeps(session.req_header(), session.is_process_shutting_down()) {
            session.set_keepalive(None);
        }
        let arrival = match self.guards(session, clean, ctx).await? {
            Ok(arrival) => arrival,
            Err(Stop::Answer(answer)) => return respond(session, ctx, answer).await,
            Err(Stop::Refuse(status)) => return refuse(session, ctx, status).await,
        };
        if let Some(answer) = self.admit(session, arrival, ctx).await? {
            return respond(session, ctx, answer).await;
        }
        if asks_for_websocket(session.req_header()) {
            self.tunnel(session, ctx).await?;
            return Ok(true);
        }
        Ok(false)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<Box<HttpPeer>> {
        self.claim_next(session, ctx).await?;
        let (Some(lease), Some(route)) = (&ctx.lease, &ctx.route) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let used = retry::used_for(session.req_header());
        let (peer, dial) = peer(lease, &route.forward, used, self.patience(ctx));
        ctx.dial = Some(dial);
        Ok(Box::new(peer))
    }

    async fn connected_to_upstream(
        &self,
        session: &mut Session,
        reused: bool,
        _peer: &HttpPeer,
        connection: RawFd,
        _digest: Option<&Digest>,
        ctx: &mut Context,
    ) -> Result<()> {
        let may_go_elsewhere = retry::may_be_repeated(session.req_header());
        // The descriptor below TLS is not known any more.
        let is_known = connection >= 0;
        if reused && is_known && !may_go_elsewhere && !idle_pool::is_open(connection) {
            return Err(failure::stale());
        }
        let has_waited = ctx.dial.as_ref().is_some_and(|dial| dial.has_waited());
        if has_waited && session.has_left() {
            return Err(caller::gone());
        }
        let connection = match &ctx.dial {
            Some(dial) if !reused => dial.descriptor(),
            _ => connection,
        };
        let lease = ctx.lease.as_mut();
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
        // A request for an upgrade that is no WebSocket is an ordinary one: were the upgrade passed
        // on from here, the tunnel could be lost (pingora#946).
        upstream.remove_header(&header::UPGRADE);
        upstream.remove_header(&header::CONNECTION);
        let forward = ctx.route.as_ref().map(|route| &route.forward.upstream);
        if forward.is_some_and(|it| it.tls.is_some() && it.protocol == Protocol::Http1) {
            // Pingora's pool tells connections apart by descriptors, which it does not know here.
            upstream.insert_header(header::CONNECTION, "close")?;
        }
        ctx.forwarded.complete(upstream);
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
            connection.enter(awaits_answer(ctx));
        }
        let Some(route) = &ctx.route else {
            return Ok(());
        };
        ctx.request_body_bytes += body.as_ref().map_or(0, |piece| piece.len() as u64);
        if ctx.request_body_bytes > route.forward.max_request_body_bytes {
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
        if let Some(body) = self.heed_answer(session.req_header(), head, ctx)? {
            // The replica's answer ends here; the other one is written where failures are.
            ctx.instead = Some(Box::new((head.clone(), body)));
            let what = "a filter answers instead";
            return Err(Error::explain(ErrorType::Custom("AnsweredInstead"), what));
        }
        if let Some(connection) = Connection::of(session)
            && connection.phase() == Phase::Owed
            && !head.status.is_informational()
        {
            connection.enter(Phase::Answer);
        }
        if session.req_header().version == Version::HTTP_10
            && head.remove_header(&header::TRANSFER_ENCODING).is_some()
        {
            // An HTTP/1.0 client knows no chunks: the answer ends with the connection.
            session.set_keepalive(None);
        }
        if !self.still_keeps(session.is_process_shutting_down()) {
            session.set_keepalive(None);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        ctx: &mut Context,
    ) -> Result<Option<Duration>> {
        self.count_answered(body.as_ref().map_or(0, Bytes::len), ctx)?;
        if !ctx.transforms.is_empty() {
            let piece = body.take().unwrap_or_default();
            let piece = ctx.transforms.pass(piece, end_of_stream)?;
            *body = (!piece.is_empty()).then_some(piece);
        }
        Ok(None)
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _peer: &HttpPeer,
        ctx: &mut Context,
        error: Box<Error>,
    ) -> Box<Error> {
        let failed = Failed::unconnected(error);
        self.again(failed, session.req_header(), ctx)
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        ctx: &mut Context,
        client_reused: bool,
    ) -> Box<Error> {
        if ctx.instead.is_some() {
            return error;
        }
        let broke = Broke {
            was_used: client_reused,
            answer_began: session
                .response_written()
                .is_some_and(|response| !response.status.is_informational()),
            body_is_kept: !session.as_ref().retry_buffer_truncated(),
        };
        let failed = Failed {
            error: error.more_context(format!("replica {}", peer._address)),
            connection: Some(broke),
        };
        self.again(failed, session.req_header(), ctx)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        ctx: &mut Context,
    ) -> FailToProxy {
        if let Some(instead) = &ctx.instead {
            let (head, body) = (**instead).clone();
            let code = head.status.as_u16();
            session.set_keepalive(None);
            if let Err(error) = write(session, head, body).await {
                log::debug!("the client left before it was told {code}: {error}");
            }
            return FailToProxy {
                error_code: code,
                can_reuse_downstream: false,
            };
        }
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
        let error = error.filter(|_| ctx.instead.is_none());
        self.report(ctx, session.req_header(), status, bytes, error);
    }
}

/// Passes the request through the filters of a stage.
async fn filter(session: &mut Session, ctx: &mut Context, stage: Stage) -> Result<Option<Answer>> {
    match filters::ask(session.req_header_mut(), ctx, stage) {
        Passed::Through => Ok(None),
        Passed::Answered(answer) => Ok(Some(answer)),
        Passed::Stopped(place, due) => {
            // The session is needed as a whole meanwhile.
            let mut head = session.req_header().clone();
            let stopped = (place, due);
            let settled = filters::settle(session, &mut head, ctx, stage, stopped);
            let answer = Box::pin(settled).await;
            *session.req_header_mut() = head;
            answer
        }
    }
}

impl Filtered for Session {
    fn head(&mut self) -> &mut RequestHeader {
        self.req_header_mut()
    }

    async fn filter(&mut self, ctx: &mut Context, stage: Stage) -> Result<Option<Answer>> {
        filter(self, ctx, stage).await
    }
}

impl Edge {
    /// Tells Pingora whether there is another attempt.
    fn again(&self, failed: Failed, head: &RequestHeader, ctx: &mut Context) -> Box<Error> {
        let again = self.judge(&failed, head, ctx);
        let mut error = failed.error;
        error.set_retry(again);
        error
    }
}

impl Asking for Session {
    async fn peek_body(
        &mut self,
        head: &RequestHeader,
        max: usize,
        _patience: Duration,
    ) -> Result<Option<Bytes>> {
        if has_token(&head.headers, header::EXPECT, "100-continue") {
            self.write_continue_response().await?;
        }
        // The buffered pieces are sent to a replica first.
        self.enable_retry_buffering();
        let mut length = 0;
        while let Some(piece) = self
            .read_request_body()
            .await
            .map_err(|error| error.into_down())?
        {
            length += piece.len();
            if length > max {
                return Ok(None);
            }
        }
        Ok(Some(self.get_retry_buffer().unwrap_or_default()))
    }
}

/// Answers instead of a service. Returns true, as `request_filter` wants it.
async fn respond(session: &mut Session, ctx: &mut Context, answer: Answer) -> Result<bool> {
    let (head, body) = filters::own_answer(answer, session.req_header(), ctx)?;
    write(session, head, body).await?;
    Ok(true)
}

/// Writes a whole answer.
pub async fn write(session: &mut Session, head: ResponseHeader, body: Bytes) -> Result<()> {
    let end = session.req_header().method == Method::HEAD || body.is_empty();
    session.write_response_header(Box::new(head), end).await?;
    if !end {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// Turns a request down that is not as it should be, and with it the rest of its connection.
async fn refuse(session: &mut Session, ctx: &mut Context, status: StatusCode) -> Result<bool> {
    session.set_keepalive(None);
    respond(session, ctx, plain(status)).await
}
