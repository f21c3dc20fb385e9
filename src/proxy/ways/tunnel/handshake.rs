//! WebSockets: the handshake, and then bytes both ways until both sides are done.
//!
//! Pingora would do both itself, but loses a tunnel when the replica's 101 is there before the
//! proxy has noticed that the request has no body (pingora#946), which near replicas manage now
//! and then, and it cuts what is silent for as long as an answer may take.

use super::head;
use super::pipe::Pipe;
use crate::proxy::door::{Connection, Phase};
use crate::proxy::edge::Edge;
use crate::proxy::hygiene;
use crate::proxy::request::answered::{awaits_answer, endless_interim};
use crate::proxy::request::context::{Context, INTERIM_ANSWERS_MAX};
use crate::proxy::request::failure;
use crate::proxy::request::filters;
use crate::proxy::request::judge::{Broke, Failed};
use crate::proxy::request::retry::Reach;
use crate::proxy::request::serve::Attempt;
use crate::proxy::upstream::link::Link;
use crate::proxy::upstream::secured::for_pingora;
use crate::proxy::ways::pingora::write;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Session;
use pingora::protocols::http::v1::client::HttpSession as Replica;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;

/// A handshake with whichever replica the request has.
struct Handshake<'a> {
    session: &'a mut Session,
    request: RequestHeader,
}

impl Attempt for Handshake<'_> {
    type Caller = Session;
    type Answered = (Replica, ResponseHeader);

    fn caller(&mut self) -> &mut Session {
        self.session
    }

    async fn ask(
        &mut self,
        edge: &Edge,
        ctx: &mut Context,
    ) -> std::result::Result<Self::Answered, Failed> {
        // Others were on a kept connection, and nobody but the tunnel may be on this one.
        let link = edge.link(self.session, None, ctx).await;
        let link = link.map_err(Failed::unconnected)?;
        let asked = self.ask_on(link, ctx).await;
        asked.map_err(|error| Failed {
            error,
            connection: Some(Broke {
                was_used: false,
                answer_began: false,
                body_is_kept: true,
            }),
        })
    }
}

impl Handshake<'_> {
    async fn ask_on(&mut self, link: Link, ctx: &mut Context) -> Result<(Replica, ResponseHeader)> {
        let (Some(lease), Some(route)) = (&ctx.lease, &ctx.route) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let forward = &route.forward;
        ctx.reach = Reach::Head;
        let mut replica = Replica::new(Box::new(for_pingora(link.stream)));
        replica.read_timeout = Some(forward.read_timeout);
        replica.write_timeout = Some(forward.write_timeout);
        replica
            .write_request_header(Box::new(self.request.clone()))
            .await
            .map_err(|error| error.into_up())?;
        ctx.reach = Reach::Sent;
        let connections = &lease.replica().connections;
        let answered = tokio::select! {
            biased;
            () = connections.lost() => return Err(failure::lost()),
            answered = timeout(forward.read_timeout, answer(self.session, &mut replica)) => answered,
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

impl Edge {
    /// Answers a request that asks for a WebSocket; `ctx` holds the lease for as long as it takes.
    ///
    /// Nothing that the client sends early leaves before the replica has agreed to the tunnel: it
    /// waits in Pingora's buffer and the kernel's. A replica that declines would take it for a
    /// request that has passed no filter (CVE-2026-2833); so it is thrown away then.
    pub(in crate::proxy) async fn tunnel(
        &self,
        session: &mut Session,
        ctx: &mut Context,
    ) -> Result<()> {
        let mut request = head::for_replica(session.req_header())?;
        ctx.forwarded.complete(&mut request);
        // Makes `read_body_or_idle` keep what it reads, see `unless_the_client_leaves`. There is
        // no next request on this connection, whatever the answer.
        if let Some(connection) = Connection::of(session) {
            connection.enter(awaits_answer(ctx));
        }
        session.set_pipelining_enabled(true);
        session.set_keepalive(None);

        let head = session.req_header().clone();
        let mut handshake = Handshake { session, request };
        let (replica, answer) = self.attempts(&mut handshake, &head, ctx).await?;
        if let Some(connection) = Connection::of(session) {
            connection.enter(Phase::Answer);
        }
        match answer.status {
            StatusCode::SWITCHING_PROTOCOLS => {
                self.is_answered(answer.status, ctx);
                join(session, ctx, replica, answer).await
            }
            _ => self.decline(session, ctx, replica, answer).await,
        }
    }

    /// Passes an answer down that is not the wanted 101. To everybody but the client this is an
    /// answer like any other.
    async fn decline(
        &self,
        session: &mut Session,
        ctx: &mut Context,
        mut replica: Replica,
        mut answer: ResponseHeader,
    ) -> Result<()> {
        let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&answer.status);
        let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
            .iter()
            .any(|name| answer.headers.contains_key(name));
        if !bodiless && !framed {
            // Such an answer ends with the replica's connection; ours may not look the same when
            // that breaks.
            answer.set_version(Version::HTTP_11);
            answer.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        if let Some(body) = self.heed_answer(session.req_header(), &mut answer, ctx)? {
            return write(session, answer, body).await.map_err(Error::into_down);
        }
        if answer.status.is_informational() {
            let what = "a filter made an answer an interim one";
            return Err(Error::explain(ErrorType::InternalError, what));
        }
        let down = |error: Box<Error>| error.into_down();
        session
            .write_response_header(Box::new(answer), replica.is_body_done())
            .await
            .map_err(down)?;
        while let Some(piece) = unless_the_client_leaves(session, replica.read_body_bytes()).await?
        {
            self.count_answered(piece.len(), ctx)?;
            let piece = ctx.transforms.pass(piece, false)?;
            if !piece.is_empty() {
                let written = session.write_response_body(Some(piece), false).await;
                written.map_err(down)?;
            }
        }
        let rest = ctx.transforms.pass(Bytes::new(), true)?;
        let rest = (!rest.is_empty()).then_some(rest);
        session.write_response_body(rest, true).await.map_err(down)
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
        hygiene::response(&mut answer)
            .map_err(|broken| Error::explain(ErrorType::InvalidHTTPHeader, broken).into_up())?;
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
    if let Some(body) = filters::answer(&mut answer, session.req_header(), ctx)? {
        return write(session, answer, body).await.map_err(Error::into_down);
    }
    let (Some(lease), Some(route)) = (&ctx.lease, &ctx.route) else {
        return Err(Error::new_in(ErrorType::InternalError));
    };
    if answer.status != StatusCode::SWITCHING_PROTOCOLS {
        let what = "a filter changed the status of a 101";
        return Err(Error::explain(ErrorType::InternalError, what));
    }
    session
        .write_response_header(Box::new(answer), false)
        .await
        .map_err(|error| error.into_down())?;

    // Bytes behind the 101 are with the session and come at once; if there are none, this may take
    // from the connection those that are already there.
    replica.read_timeout = None;
    let early = match replica.read_body_bytes().now_or_never() {
        Some(Ok(Some(early))) => early,
        _ => Default::default(),
    };
    if let Some(connection) = Connection::of(session) {
        connection.enter(Phase::Tunnel);
    }
    let idle = route.forward.tunnel_idle_timeout;
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

/// The replica's answer, unless the client closes its connection before.
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
