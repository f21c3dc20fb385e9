//! One plain request and its answer.

use super::client::{Client, Next};
use super::replica::{BODY_BYTES, Request, broken, hear_head, send, stays};
use crate::plugin::Answer;
use crate::proxy::answers::own::plain;
use crate::proxy::door::Phase;
use crate::proxy::edge::Edge;
use crate::proxy::http1::body::{Body, Framing};
use crate::proxy::http1::fields::content_length;
use crate::proxy::http1::head::{self, Spelling};
use crate::proxy::hygiene::{Refusal, Way};
use crate::proxy::request::answered::awaits_answer;
use crate::proxy::request::context::Context;
use crate::proxy::request::filters::{self, Stage};
use crate::proxy::request::judge::{Broke, Failed};
use crate::proxy::request::retry::{self, BODY_KEPT_BYTES, Reach};
use crate::proxy::request::serve::{Attempt, Filtered, Stop};
use crate::proxy::request::{failure, transforms};
use crate::proxy::upstream::link::{ANSWER_BYTES, Link};
use crate::service::replica::idle_pool::Use;
use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::date::get_cached_date;
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType, Result};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Most requests' heads fit.
const REQUEST_BYTES: usize = 1 << 10;
/// What the client was told.
struct Said {
    status: Option<StatusCode>,
    body_bytes: u64,
    /// Whether another request may follow.
    keeps: bool,
    to_head: bool,
    /// What is left of the request's body.
    unread: usize,
}

/// A plain request before its claim.
struct Arrived<'a> {
    client: &'a mut Client,
    head: &'a mut RequestHeader,
}

impl Filtered for Arrived<'_> {
    fn head(&mut self) -> &mut RequestHeader {
        self.head
    }

    async fn filter(&mut self, ctx: &mut Context, stage: Stage) -> Result<Option<Answer>> {
        filters::pass(self.client, self.head, ctx, stage).await
    }
}

/// A plain request to whichever replica it has.
struct Plain<'a> {
    client: &'a mut Client,
    head: &'a RequestHeader,
    request: &'a Request,
    body_bytes: u64,
    said: &'a mut Said,
}

impl Attempt for Plain<'_> {
    type Caller = Client;
    type Answered = ();

    fn caller(&mut self) -> &mut Client {
        self.client
    }

    async fn ask(&mut self, edge: &Edge, ctx: &mut Context) -> std::result::Result<(), Failed> {
        ctx.request_body_bytes = self.body_bytes;
        let link = edge.link(self.client, Some(self.request.used), ctx).await;
        let mut link = link.map_err(Failed::unconnected)?;
        let Plain {
            client,
            head,
            request,
            said,
            ..
        } = self;
        match edge
            .exchange(client, head, request, &mut link, ctx, said)
            .await
        {
            Ok(is_kept) => {
                if is_kept && let Some(lease) = &mut ctx.lease {
                    lease.keep(link.stream);
                }
                Ok(())
            }
            Err(error) => Err(Failed {
                error,
                connection: Some(Broke {
                    was_used: link.is_used,
                    answer_began: self.said.status.is_some(),
                    body_is_kept: true,
                }),
            }),
        }
    }
}

impl Edge {
    /// Serves the request whose head is the first `length` bytes of the client's inbox.
    pub(in crate::proxy) async fn plain(
        &self,
        client: &mut Client,
        length: usize,
        shutdown: &ShutdownWatch,
    ) -> Next {
        let raw = client.take(length);
        let settings = self.settings.load_full();
        let Some((mut head, spelling)) = head::request(&raw, settings.chain.room()) else {
            client.give_back(raw);
            return Next::Other;
        };
        let mut ctx = Context::new(settings, &self.in_flight);
        ctx.peer = Some(client.connection.wire.peer.clone());
        ctx.scheme = client.connection.wire.scheme.clone();
        // One that is not clean has no target.
        let clean = self.introduce(&mut head, &raw, &mut ctx);
        let length = content_length(&head).unwrap_or(0);
        let is_short = ctx.target.as_ref().is_some_and(|target| {
            length <= target.forward.max_request_body_bytes.min(BODY_KEPT_BYTES)
        });
        if !is_short {
            drop(head);
            client.give_back(raw);
            return Next::Other;
        }
        client.connection.enter(Phase::Answer);
        let mut said = Said {
            status: None,
            body_bytes: 0,
            keeps: self.keeps(&head, *shutdown.borrow()),
            to_head: head.method == Method::HEAD,
            unread: length as usize,
        };
        let error = self
            .serve(client, &mut head, clean, &spelling, &mut ctx, &mut said)
            .await
            .err();
        if let Some(error) = &error {
            said.keeps = false;
            if said.status.is_none()
                && let Ok(status) = StatusCode::from_u16(failure::status(error))
                && let Err(error) = say(client, &head, &mut ctx, &mut said, plain(status)).await
            {
                log::debug!("the client left before it was told {status}: {error}");
            }
        }
        let status = said.status.map_or(0, |status| status.as_u16());
        self.report(&mut ctx, &head, status, said.body_bytes, error.as_deref());
        match said.keeps {
            true => {
                client.stream.rest(ctx.settings);
                Next::Plain
            }
            false => Next::End(said.unread.saturating_sub(client.inbox.len())),
        }
    }

    async fn serve(
        &self,
        client: &mut Client,
        head: &mut RequestHeader,
        clean: std::result::Result<Way, Refusal>,
        spelling: &Spelling,
        ctx: &mut Context,
        said: &mut Said,
    ) -> Result<()> {
        let mut arrived = Arrived { client, head };
        let arrival = match self.guards(&mut arrived, clean, ctx).await? {
            Ok(arrival) => arrival,
            Err(Stop::Refuse(status)) => {
                said.keeps = false;
                return say(client, head, ctx, said, plain(status)).await;
            }
            Err(Stop::Answer(answer)) => {
                // What is there already is no reason to end the connection.
                if client.inbox.len() >= said.unread {
                    let _body = client.inbox.split_to(std::mem::take(&mut said.unread));
                } else {
                    said.keeps = false;
                }
                return say(client, head, ctx, said, answer).await;
            }
        };
        let patience = ctx.settings.client_read_timeout;
        let body = match said.unread {
            0 => BytesMut::new(),
            length => client.body(length, patience).await?,
        };
        said.unread = 0;
        if let Some(answer) = self.admit(client, arrival, ctx).await? {
            return say(client, head, ctx, said, answer).await;
        }
        head.remove_header(&header::CONNECTION);
        let mut bytes = BytesMut::with_capacity(REQUEST_BYTES + body.len());
        head::put_request(&mut bytes, head, spelling);
        for (name, value) in ctx.forwarded.missing_in(head) {
            head::put_header(&mut bytes, name.as_str().as_bytes(), value.as_bytes());
        }
        bytes.put_slice(b"\r\n");
        let request = Request {
            head: bytes.len(),
            used: retry::used_for(head),
            bytes: {
                bytes.put_slice(&body);
                bytes
            },
        };
        let body_bytes = body.len() as u64;
        drop(body);
        let mut attempt = Plain {
            client,
            head,
            request: &request,
            body_bytes,
            said,
        };
        self.attempts(&mut attempt, head, ctx).await
    }

    /// Sends the request and passes the answer on. Returns whether the connection may be used
    /// again.
    async fn exchange(
        &self,
        client: &mut Client,
        head: &RequestHeader,
        request: &Request,
        link: &mut Link,
        ctx: &mut Context,
        said: &mut Said,
    ) -> Result<bool> {
        let connection = link.stream.as_raw_fd();
        let may_go_elsewhere = request.used == Use::MayBeRepeated;
        let lease = ctx.lease.as_mut();
        if !lease.is_some_and(|lease| lease.sends_on(connection, may_go_elsewhere)) {
            return Err(failure::lost());
        }
        let forward = ctx.target.as_ref().map(|target| &target.forward);
        let (patience, write_timeout) = forward.map_or_else(Default::default, |forward| {
            (forward.read_timeout, forward.write_timeout)
        });
        client.connection.enter(awaits_answer(ctx));
        ctx.reach = Reach::Head;
        let is_sent = send(link, request, write_timeout, &mut ctx.reach).await?;
        loop {
            let (mut answer, spelling) =
                hear_head(client, link, patience, ctx.chain().room()).await?;
            let is_last = !answer.status.is_informational();
            let mut body = Body::of(&answer, said.to_head);
            let may_stay = is_last && stays(&answer, &body);
            if body == Body::Close && answer.headers.get(header::TRANSFER_ENCODING).is_none() {
                // It ends with the replica's connection, and ours may not look the same when it
                // breaks.
                answer.insert_header(header::TRANSFER_ENCODING, "chunked")?;
            }
            let instead = self.heed_answer(head, &mut answer, ctx)?;
            if !is_last {
                let mut out = BytesMut::new();
                head::put_response(&mut out, &answer, &spelling);
                out.put_slice(b"\r\n");
                client
                    .write(&out, ctx.settings.client_write_timeout)
                    .await?;
                continue;
            }
            client.connection.enter(Phase::Answer);
            if let Some(content) = instead {
                write(client, ctx, said, answer, content).await?;
                return Ok(is_sent && may_stay && body.is_over() && link.inbox.is_empty());
            }
            self.pass(
                client,
                link,
                &mut body,
                (answer, spelling),
                patience,
                ctx,
                said,
            )
            .await?;
            return Ok(is_sent && may_stay && link.inbox.is_empty());
        }
    }

    /// Passes an answer down.
    #[allow(clippy::too_many_arguments)]
    async fn pass(
        &self,
        client: &mut Client,
        link: &mut Link,
        body: &mut Body,
        (mut answer, spelling): (ResponseHeader, Spelling),
        patience: Duration,
        ctx: &mut Context,
        said: &mut Said,
    ) -> Result<()> {
        let ahead = match ctx.transforms.is_empty() {
            true => Bytes::new(),
            false => self.transform_ahead(body, link, &mut answer, ctx)?,
        };
        let mut framing = Framing::of(&answer, said.to_head);
        if framing == Framing::Close || !self.still_keeps(false) {
            said.keeps = false;
        }
        let mut out = BytesMut::with_capacity(ANSWER_BYTES);
        put_answer(&mut out, &answer, &spelling, said.keeps);
        said.body_bytes += framing.put(&mut out, &ahead) as u64;
        loop {
            while let Some(piece) = body.take(&mut link.inbox).map_err(broken)? {
                self.count_answered(piece.len(), ctx)?;
                let piece = ctx.transforms.pass(piece, body.is_over())?;
                said.body_bytes += framing.put(&mut out, &piece) as u64;
            }
            let is_over = body.is_over();
            if is_over {
                let rest = ctx.transforms.pass(Bytes::new(), true)?;
                said.body_bytes += framing.put(&mut out, &rest) as u64;
            }
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
                        let what = "the answer ended before its body was complete";
                        return Err(Error::explain(ErrorType::ConnectionClosed, what).into_up());
                    }
                }
            }
        }
    }
}

impl Edge {
    /// Transforms what has come of a body, and says its length in the head if that is all.
    fn transform_ahead(
        &self,
        body: &mut Body,
        link: &mut Link,
        answer: &mut ResponseHeader,
        ctx: &mut Context,
    ) -> Result<Bytes> {
        let mut ahead = BytesMut::new();
        while let Some(piece) = body.take(&mut link.inbox).map_err(broken)? {
            self.count_answered(piece.len(), ctx)?;
            ahead.extend_from_slice(&ctx.transforms.pass(piece, body.is_over())?);
        }
        if body.is_over() {
            ahead.extend_from_slice(&ctx.transforms.pass(Bytes::new(), true)?);
            transforms::tell_length(answer, ahead.len())?;
        }
        Ok(ahead.freeze())
    }
}

fn put_answer(out: &mut BytesMut, answer: &ResponseHeader, spelling: &Spelling, keeps: bool) {
    head::put_response(out, answer, spelling);
    if !answer.headers.contains_key(header::DATE) {
        // RFC 9110 §6.6.1: who has a clock sees to it.
        head::put_header(out, b"Date", get_cached_date().as_bytes());
    }
    out.put_slice(match keeps {
        true => b"Connection: keep-alive\r\n\r\n",
        false => b"Connection: close\r\n\r\n",
    });
}

/// Answers instead of a service.
async fn say(
    client: &mut Client,
    request: &RequestHeader,
    ctx: &mut Context,
    said: &mut Said,
    answer: Answer,
) -> Result<()> {
    let (head, body) = filters::own_answer(answer, request, ctx)?;
    write(client, ctx, said, head, body).await
}

/// Writes a whole answer.
async fn write(
    client: &mut Client,
    ctx: &Context,
    said: &mut Said,
    head: ResponseHeader,
    body: Bytes,
) -> Result<()> {
    let mut out = BytesMut::new();
    put_answer(&mut out, &head, &Spelling::default(), said.keeps);
    said.status = Some(head.status);
    said.body_bytes = Framing::of(&head, said.to_head).put(&mut out, &body) as u64;
    client.write(&out, ctx.settings.client_write_timeout).await
}
