//! WebSockets: the handshake, and then bytes both ways until both sides are done.
//!
//! Pingora would do both itself, but loses a tunnel when the replica's 101 is there before the
//! proxy has noticed that the request has no body (pingora#946), which near replicas manage now
//! and then, and it cuts what is silent for as long as an answer may take.

mod head;
mod pipe;

pub use head::is_asked_for;

use super::connection::{Connection, Phase};
use super::context::INTERIM_ANSWERS_MAX;
use super::decide::{endless_interim, filter_response};
use super::hooks::peer;
use super::{Context, Edge, failure, headers, hygiene};
use futures_util::FutureExt;
use http::{StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Session;
use pingora::protocols::http::v1::client::HttpSession as Replica;
use pingora::{Error, ErrorSource, ErrorType, Result};
use pipe::Pipe;
use tokio::time::timeout;

impl Edge {
    /// Answers a request that asks for a WebSocket; `ctx` holds the lease for as long as it takes.
    ///
    /// Nothing that the client sends early leaves before the replica has agreed to the tunnel: it
    /// waits in Pingora's buffer and the kernel's. A replica that declines would take it for a
    /// request that has passed no filter (CVE-2026-2833); so it is thrown away then.
    pub(super) async fn tunnel(&self, session: &mut Session, ctx: &mut Context) -> Result<()> {
        let mut request = head::for_replica(session.req_header())?;
        headers::set_forwarded(
            &mut request,
            ctx.peer.as_ref(),
            &ctx.settings.trusted_proxies,
        );
        // Makes `read_body_or_idle` keep what it reads, see `unless_the_client_leaves`. There is
        // no next request on this connection, whatever the answer.
        if let Some(connection) = Connection::of(session) {
            connection.enter(Phase::Answer);
        }
        session.set_pipelining_enabled(true);
        session.set_keepalive(None);

        let (replica, answer) = self.shake_hands(session, ctx, &request).await?;
        match answer.status {
            StatusCode::SWITCHING_PROTOCOLS => join(session, ctx, replica, answer).await,
            _ => decline(session, ctx, replica, answer).await,
        }
    }

    /// Asks one replica after another until one has answered.
    async fn shake_hands(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        request: &RequestHeader,
    ) -> Result<(Replica, ResponseHeader)> {
        loop {
            let error = match self.ask(session, ctx, request).await {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            if self.dials_again(&error, ctx) {
                continue;
            }
            let again = *error.esource() == ErrorSource::Upstream
                && !failure::is_timeout(&error)
                && self.may_retry(ctx);
            ctx.leave();
            if !again {
                return Err(error);
            }
            log::debug!("attempt {} failed: {error}", ctx.attempts);
            let Some(lease) = self.claim(ctx).await else {
                return Err(error);
            };
            self.take(ctx, lease);
        }
    }

    async fn ask(
        &self,
        session: &mut Session,
        ctx: &Context,
        request: &RequestHeader,
    ) -> Result<(Replica, ResponseHeader)> {
        let (Some(lease), Some(target)) = (&ctx.lease, &ctx.target) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let forward = &target.forward;
        // Lives until there is an answer, and with it the connection's turn.
        let (peer, _dial) = peer(lease, forward);
        let stream = self
            .connector
            .new_stream(&peer)
            .await
            .map_err(|error| error.into_up())?;
        let mut replica = Replica::new(stream);
        replica.read_timeout = Some(forward.read_timeout);
        replica.write_timeout = Some(forward.write_timeout);
        replica
            .write_request_header(Box::new(request.clone()))
            .await
            .map_err(|error| error.into_up())?;
        let connections = &lease.replica().connections;
        let answered = tokio::select! {
            biased;
            () = connections.lost() => return Err(failure::lost()),
            answered = timeout(forward.read_timeout, answer(session, &mut replica)) => answered,
        };
        match answered {
            Ok(answer) => Ok((replica, answer?)),
            Err(_) => Err(Error::explain(
                ErrorType::ReadTimedout,
                "waiting for the answer to an upgrade",
            )
            .into_up()),
        }
    }
}

/// The head of the final answer; interim ones are passed on.
async fn answer(session: &mut Session, replica: &mut Replica) -> Result<ResponseHeader> {
    let mut interim = 0;
    loop {
        unless_the_client_leaves(session, replica.read_response()).await?;
        let Some(answer) = replica.resp_header() else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let mut answer = answer.clone();
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            if !replica.was_upgraded() || !head::switches_to_websocket(&answer) {
                let what = "a 101 that does not switch to a WebSocket";
                return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
            }
            head::for_client(&mut answer)?;
            return Ok(answer);
        }
        if !answer.status.is_informational() {
            return Ok(answer);
        }
        interim += 1;
        if interim > INTERIM_ANSWERS_MAX {
            return Err(endless_interim());
        }
        session
            .write_response_header(Box::new(answer), false)
            .await
            .map_err(|error| error.into_down())?;
    }
}

/// Passes the 101 down, and then whatever comes, either way.
async fn join(
    session: &mut Session,
    ctx: &mut Context,
    mut replica: Replica,
    mut answer: ResponseHeader,
) -> Result<()> {
    let (Some(lease), Some(target)) = (&ctx.lease, &ctx.target) else {
        return Err(Error::new_in(ErrorType::InternalError));
    };
    filter_response(&mut answer, ctx);
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        let what = "a filter changed the status of a 101";
        return Err(Error::explain(ErrorType::InternalError, what));
    }
    session
        .write_response_header(Box::new(answer), false)
        .await
        .map_err(|error| error.into_down())?;

    // What came behind the 101 is with the session and comes at once; if nothing did, this may
    // take from the connection what is already there.
    replica.read_timeout = None;
    let early = match replica.read_body_bytes().now_or_never() {
        Some(Ok(Some(early))) => early,
        _ => Default::default(),
    };
    if let Some(connection) = Connection::of(session) {
        connection.enter(Phase::Tunnel);
    }
    let idle = target.forward.tunnel_idle_timeout;
    let mut pipe = Pipe::new(
        session.as_downstream_mut(),
        replica.into_inner(),
        early,
        idle,
    );
    let cut = tokio::select! {
        ended = pipe.run() => ended.err(),
        () = lease.replica().dismissed() => Some("the replica has left".to_owned()),
    };
    ctx.request_body_bytes = pipe.bytes_up();
    ctx.cut = cut;
    Ok(())
}

/// Passes an answer down that is not the wanted 101.
async fn decline(
    session: &mut Session,
    ctx: &mut Context,
    mut replica: Replica,
    mut answer: ResponseHeader,
) -> Result<()> {
    hygiene::response(&mut answer)
        .map_err(|broken| Error::explain(ErrorType::InvalidHTTPHeader, broken).into_up())?;
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&answer.status);
    let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
        .iter()
        .any(|name| answer.headers.contains_key(name));
    if !bodiless && !framed {
        // It ends with the replica's connection, and ours may not look the same when it breaks.
        answer.set_version(Version::HTTP_11);
        answer.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    filter_response(&mut answer, ctx);
    if answer.status.is_informational() {
        let what = "a filter made an answer an interim one";
        return Err(Error::explain(ErrorType::InternalError, what));
    }
    let down = |error: Box<Error>| error.into_down();
    session
        .write_response_header(Box::new(answer), replica.is_body_done())
        .await
        .map_err(down)?;
    while let Some(piece) = unless_the_client_leaves(session, replica.read_body_bytes()).await? {
        let written = session.write_response_body(Some(piece), false).await;
        written.map_err(down)?;
    }
    session.write_response_body(None, true).await.map_err(down)
}

/// What the replica says, unless the client closes its connection before.
///
/// To see that, the connection must be read; `read_body_or_idle` keeps the one byte that it may
/// find, because pipelining is on, and gives it back as the tunnel's first.
async fn unless_the_client_leaves<T>(
    session: &mut Session,
    said: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        biased;
        said = said => said.map_err(|error| error.into_up()),
        left = session.as_downstream_mut().read_body_or_idle(false) => Err(match left {
            Err(error) => error.into_down(),
            Ok(_) => Error::new_down(ErrorType::InternalError),
        }),
    }
}
