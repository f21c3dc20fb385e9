//! One plain request and its answer.

use super::Next;
use super::body::{Body, Framing};
use super::client::Client;
use super::head;
use crate::plugin::{Answer, Verdict};
use crate::proxy::connection::Phase;
use crate::proxy::hygiene::{self, Way};
use crate::proxy::retry::Reach;
use crate::proxy::{
    Context, Edge, answer_head, dial, failure, filter_request, filter_response, headers, plain,
    unavailable,
};
use bytes::BytesMut;
use http::{Method, StatusCode, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::date::get_cached_date;
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType, Result};
use std::os::fd::AsRawFd;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What an answer is read with: its head, and with it all of a short body.
const ANSWER_BYTES: usize = 4 << 10;
/// What a longer body is read with.
const BODY_BYTES: usize = 64 << 10;
/// A replica's head is no longer.
const ANSWER_HEAD_MAX: usize = 1 << 20;

/// What the client was told.
struct Said {
    status: Option<StatusCode>,
    body_bytes: u64,
    /// Whether another request may follow.
    keeps: bool,
    to_head: bool,
}

/// A connection to a replica.
struct Link {
    stream: TcpStream,
    inbox: BytesMut,
    /// Whether a request was on it before.
    is_used: bool,
}

impl Edge {
    /// Serves the request whose head is the first `length` bytes of the client's inbox.
    pub(super) async fn plain(
        &self,
        client: &mut Client,
        length: usize,
        shutdown: &ShutdownWatch,
    ) -> Next {
        let raw = client.take(length);
        let Some(mut head) = head::request(&raw) else {
            client.give_back(raw);
            return Next::Other;
        };
        let mut ctx = Context::new(self.settings.load_full(), &self.in_flight);
        ctx.peer = client.connection.peer;
        let is_clean =
            hygiene::request(&mut head, &raw, &ctx.settings.limits) == Ok(Way::ToAService);
        self.introduce(&head, is_clean, &mut ctx);
        if ctx.target.is_none() {
            drop(head);
            client.give_back(raw);
            return Next::Other;
        }
        client.connection.enter(Phase::Answer);
        let mut said = Said {
            status: None,
            body_bytes: 0,
            keeps: !hygiene::ends_connection(&head)
                && !self.in_flight.ends_connections()
                && !*shutdown.borrow(),
            to_head: head.method == Method::HEAD,
        };
        let error = self
            .serve(client, &mut head, &mut ctx, &mut said)
            .await
            .err();
        if let Some(error) = &error {
            said.keeps = false;
            if said.status.is_none()
                && let Ok(status) = StatusCode::from_u16(failure::status(error))
                && let Err(error) = say(client, &ctx, &mut said, plain(status)).await
            {
                log::debug!("the client left before it was told {status}: {error}");
            }
        }
        let status = said.status.map_or(0, |status| status.as_u16());
        self.report(&mut ctx, &head, status, said.body_bytes, error.as_deref());
        match said.keeps {
            true => {
                client.connection.enter(Phase::Idle);
                Next::Plain
            }
            false => Next::End,
        }
    }

    async fn serve(
        &self,
        client: &mut Client,
        head: &mut RequestHeader,
        ctx: &mut Context,
        said: &mut Said,
    ) -> Result<()> {
        if let Verdict::Answer(answer) = filter_request(head, ctx) {
            return say(client, ctx, said, answer).await;
        }
        if !self.admit(head.uri.path(), ctx).await {
            return say(client, ctx, said, unavailable()).await;
        }
        head.remove_header(&header::CONNECTION);
        headers::set_forwarded(head, ctx.peer, &ctx.settings.trusted_proxies);
        let mut request = BytesMut::with_capacity(512);
        head::put_request(&mut request, head);
        loop {
            let (error, is_used) = match self.attempt(client, head, &request, ctx, said).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            let again = match is_used {
                None => self.was_not_connected(&error, ctx),
                Some(is_used) => {
                    let began = said.status.is_some();
                    self.broke_off(&error, head, began, true, is_used, ctx)
                }
            };
            if !again {
                return Err(error);
            }
            log::debug!("attempt {} failed: {error}", ctx.attempts);
            self.claim_next(ctx).await?;
        }
    }

    /// Asks one replica. An error comes with whether the connection was used before, if there
    /// was one.
    async fn attempt(
        &self,
        client: &mut Client,
        head: &RequestHeader,
        request: &[u8],
        ctx: &mut Context,
        said: &mut Said,
    ) -> std::result::Result<(), (Box<Error>, Option<bool>)> {
        let mut link = match self.link(ctx).await {
            Ok(link) => link,
            Err(error) => return Err((error, None)),
        };
        match self
            .exchange(client, head, request, &mut link, ctx, said)
            .await
        {
            Ok(is_kept) => {
                if is_kept && let Some(lease) = &mut ctx.lease {
                    lease.keep(link.stream);
                }
                Ok(())
            }
            Err(error) => Err((error, Some(link.is_used))),
        }
    }

    async fn link(&self, ctx: &mut Context) -> Result<Link> {
        let (Some(lease), Some(target)) = (&ctx.lease, &ctx.target) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let kept = lease.replica().connections.kept.take();
        let is_used = kept.is_some();
        let stream = match kept {
            Some(stream) => stream,
            None => {
                let dial = dial::Dial::new(lease.replica(), target.forward.connect_timeout);
                let dialled = dial.stream().await.map_err(|error| error.into_up());
                ctx.dial = Some(dial.into());
                dialled?
            }
        };
        Ok(Link {
            stream,
            inbox: BytesMut::new(),
            is_used,
        })
    }

    /// Sends the request and passes the answer on. Returns whether the connection may be used
    /// again.
    async fn exchange(
        &self,
        client: &mut Client,
        head: &RequestHeader,
        request: &[u8],
        link: &mut Link,
        ctx: &mut Context,
        said: &mut Said,
    ) -> Result<bool> {
        let connection = link.stream.as_raw_fd();
        let may_go_elsewhere = head.method.is_idempotent();
        let lease = ctx.lease.as_mut();
        if !lease.is_some_and(|lease| lease.sends_on(connection, may_go_elsewhere)) {
            return Err(failure::lost());
        }
        let forward = ctx.target.as_ref().map(|target| &target.forward);
        let (patience, write_timeout) = forward.map_or_else(Default::default, |forward| {
            (forward.read_timeout, forward.write_timeout)
        });
        ctx.reach = Reach::Head;
        send(&mut link.stream, request, write_timeout).await?;
        ctx.reach = Reach::Sent;
        loop {
            let mut answer = hear_head(client, link, patience).await?;
            let is_last = !answer.status.is_informational();
            let mut body = Body::of(&answer, said.to_head);
            let may_stay = is_last && stays(&answer, &body);
            if body == Body::Close && answer.headers.get(header::TRANSFER_ENCODING).is_none() {
                // It ends with the replica's connection, and ours may not look the same when it
                // breaks.
                answer.insert_header(header::TRANSFER_ENCODING, "chunked")?;
            }
            self.heed_answer(&head.method, &mut answer, ctx)?;
            if !is_last {
                let mut out = BytesMut::new();
                head::put_response(&mut out, &answer);
                client
                    .write(&out, ctx.settings.client_write_timeout)
                    .await?;
                continue;
            }
            self.pass(client, link, &mut body, answer, patience, ctx, said)
                .await?;
            return Ok(may_stay && link.inbox.is_empty());
        }
    }

    /// Passes an answer down.
    #[allow(clippy::too_many_arguments)]
    async fn pass(
        &self,
        client: &mut Client,
        link: &mut Link,
        body: &mut Body,
        mut answer: ResponseHeader,
        patience: Duration,
        ctx: &mut Context,
        said: &mut Said,
    ) -> Result<()> {
        let mut framing = Framing::of(&answer, said.to_head);
        if framing == Framing::Close || self.in_flight.ends_connections() {
            said.keeps = false;
        }
        let mut out = BytesMut::with_capacity(ANSWER_BYTES);
        put_answer(&mut out, &mut answer, said.keeps)?;
        loop {
            while let Some(piece) = body.take(&mut link.inbox).map_err(broken)? {
                self.count_answered(piece.len(), ctx)?;
                said.body_bytes += framing.put(&mut out, &piece) as u64;
            }
            let is_over = body.is_over();
            if is_over && !framing.end(&mut out) {
                said.keeps = false;
            }
            if !out.is_empty() {
                said.status = Some(answer.status);
                client
                    .write(&out, ctx.settings.client_write_timeout)
                    .await?;
                out.clear();
            }
            if is_over {
                return Ok(());
            }
            link.inbox.reserve(BODY_BYTES);
            let read = client
                .hear(&mut link.stream, &mut link.inbox, patience)
                .await?;
            if read == 0 {
                match body {
                    Body::Close => *body = Body::Over,
                    _ => {
                        let what = "the answer ended before its body did";
                        return Err(Error::explain(ErrorType::ConnectionClosed, what).into_up());
                    }
                }
            }
        }
    }
}

/// Whether another request may follow on a replica's connection.
fn stays(answer: &ResponseHeader, body: &Body) -> bool {
    let says = |option: &[u8]| {
        let values = answer.headers.get_all(header::CONNECTION).iter();
        let mut tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(option))
    };
    match (body, answer.version) {
        (Body::Close, _) => false,
        (_, Version::HTTP_11) => !says(b"close"),
        // RFC 9112 §6.1: one who frames this way and knows no chunks is not to be trusted.
        (Body::Chunked(_), _) => false,
        _ => says(b"keep-alive") && !says(b"close"),
    }
}

async fn send(stream: &mut TcpStream, request: &[u8], within: Duration) -> Result<()> {
    // Nearly always there is room, and then no clock is needed.
    let written = match stream.try_write(request) {
        Ok(count) if count == request.len() => return Ok(()),
        Ok(count) => timeout(within, stream.write_all(&request[count..])).await,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            timeout(within, stream.write_all(request)).await
        }
        Err(error) => Ok(Err(error)),
    };
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => {
            let what = "writing a request";
            Err(Error::because(ErrorType::WriteError, what, error).into_up())
        }
        Err(_) => Err(Error::explain(ErrorType::WriteTimedout, "writing a request").into_up()),
    }
}

async fn hear_head(
    client: &mut Client,
    link: &mut Link,
    patience: Duration,
) -> Result<ResponseHeader> {
    loop {
        if !link.inbox.is_empty() {
            match head::response(&mut link.inbox) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) if link.inbox.len() <= ANSWER_HEAD_MAX => {}
                Ok(None) => return Err(broken("an answer with too large a head")),
                Err(error) => {
                    let what = "an answer that is not HTTP";
                    let cause = Error::because(ErrorType::InvalidHTTPHeader, what, error);
                    return Err(cause.into_up());
                }
            }
        }
        link.inbox.reserve(ANSWER_BYTES);
        if client
            .hear(&mut link.stream, &mut link.inbox, patience)
            .await?
            == 0
        {
            let what = "the replica closed the connection before it answered";
            return Err(Error::explain(ErrorType::ConnectionClosed, what).into_up());
        }
    }
}

fn put_answer(out: &mut BytesMut, answer: &mut ResponseHeader, keeps: bool) -> Result<()> {
    answer.insert_header(header::DATE, get_cached_date())?;
    let connection = if keeps { "keep-alive" } else { "close" };
    answer.insert_header(header::CONNECTION, connection)?;
    head::put_response(out, answer);
    Ok(())
}

/// Answers instead of a service.
async fn say(client: &mut Client, ctx: &Context, said: &mut Said, answer: Answer) -> Result<()> {
    let body = answer.body.clone();
    let mut head = answer_head(answer)?;
    filter_response(&mut head, ctx);
    let mut out = BytesMut::new();
    put_answer(&mut out, &mut head, said.keeps)?;
    said.status = Some(head.status);
    said.body_bytes = Framing::of(&head, said.to_head).put(&mut out, &body) as u64;
    client.write(&out, ctx.settings.client_write_timeout).await
}

fn broken(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_up()
}
