//! A request on a client's HTTP/1 connection, from its head to its report.

use super::asker::Asker;
use super::client::{Client, Next};
use super::exchange::Exchange;
use super::http1::Http1;
use super::replica::Request;
use super::upload::Upload;
use crate::plugin::Answer;
use crate::proxy::answers::own::plain;
use crate::proxy::door::Phase;
use crate::proxy::edge::Edge;
use crate::proxy::http1::body::Body;
use crate::proxy::http1::fields::{HOP_BY_HOP, asks_for_websocket, content_length};
use crate::proxy::http1::head::{self, Spelling};
use crate::proxy::hygiene::{Refusal, Way};
use crate::proxy::request::context::Context;
use crate::proxy::request::failure;
use crate::proxy::request::filters::{self, Stage};
use crate::proxy::request::retry::{self, BODY_KEPT_BYTES};
use crate::proxy::request::serve::{Filtered, Stop};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::server::ShutdownWatch;

/// Most requests' heads fit.
const REQUEST_BYTES: usize = 1 << 10;

/// A request before its claim.
struct Arrived<'a, 'b> {
    asker: &'a mut Http1<'b>,
    head: &'a mut RequestHeader,
}

impl Filtered for Arrived<'_, '_> {
    fn head(&mut self) -> &mut RequestHeader {
        self.head
    }

    async fn filter(&mut self, ctx: &mut Context, stage: Stage) -> Result<Option<Answer>> {
        filters::pass(self.asker, self.head, ctx, stage).await
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
        let fits = ctx
            .target
            .as_ref()
            .is_some_and(|target| length <= target.forward.max_request_body_bytes);
        if !fits || asks_for_websocket(&head) {
            drop(head);
            client.give_back(raw);
            return Next::Other;
        }
        client.connection.enter(Phase::Answer);
        let keeps = self.keeps(&head, *shutdown.borrow());
        let within = ctx.settings.client_write_timeout;
        let mut asker = Http1::new(client, &head, keeps, within);
        let served = self.serve(&mut asker, &mut head, clean, &spelling, &mut ctx);
        let error = served.await.err();
        if let Some(error) = &error {
            asker.said.keeps = false;
            if asker.said.status.is_none()
                && let Ok(status) = StatusCode::from_u16(failure::status(error))
                && let Err(error) = say(&mut asker, &head, &mut ctx, plain(status)).await
            {
                log::debug!("the client left before it was told {status}: {error}");
            }
        }
        let status = asker.said.status.map_or(0, |status| status.as_u16());
        let bytes = asker.said.body_bytes;
        let (keeps, unread) = (asker.said.keeps, asker.unread());
        self.report(&mut ctx, &head, status, bytes, error.as_deref());
        match keeps {
            true => {
                client.stream.rest(ctx.settings);
                Next::Plain
            }
            false => {
                client.connection.enter(Phase::Answer);
                Next::End(unread)
            }
        }
    }

    async fn serve(
        &self,
        asker: &mut Http1<'_>,
        head: &mut RequestHeader,
        clean: std::result::Result<Way, Refusal>,
        spelling: &Spelling,
        ctx: &mut Context,
    ) -> Result<()> {
        let is_chunked = matches!(asker.body, Body::Chunked(_));
        let mut arrived = Arrived { asker, head };
        let arrival = match self.guards(&mut arrived, clean, ctx).await? {
            Ok(arrival) => arrival,
            Err(Stop::Refuse(status)) => {
                asker.said.keeps = false;
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
        let limit = ctx.target.as_ref();
        let limit = limit.map_or(0, |target| target.forward.max_request_body_bytes);
        let upload = match is_chunked || length > body.len() as u64 {
            true => Upload::new(is_chunked, limit),
            false => Upload::none(),
        };
        let used = retry::used_for(head);
        let bytes = put_head(head, spelling, ctx, &body);
        let request = Request {
            head: bytes.len() - body.len(),
            used,
            bytes,
        };
        let mut exchange = Exchange {
            asker,
            head,
            request: &request,
            upload,
            body_bytes: body.len() as u64,
        };
        drop(body);
        self.attempts(&mut exchange, head, ctx).await
    }
}

/// The head as the replica gets it, and a body behind it.
fn put_head(
    head: &mut RequestHeader,
    spelling: &Spelling,
    ctx: &Context,
    body: &BytesMut,
) -> BytesMut {
    let is_hop_by_hop = |name: &HeaderName| HOP_BY_HOP.contains(&name.as_str());
    if head.headers.keys().any(is_hop_by_hop) {
        let names = HOP_BY_HOP.into_iter();
        for name in names.filter(|name| *name != header::TRANSFER_ENCODING.as_str()) {
            head.remove_header(name);
        }
    }
    let mut bytes = BytesMut::with_capacity(REQUEST_BYTES + body.len());
    head::put_request(&mut bytes, head, spelling);
    for (name, value) in ctx.forwarded.missing_in(head) {
        head::put_header(&mut bytes, name.as_str().as_bytes(), value.as_bytes());
    }
    bytes.put_slice(b"\r\n");
    bytes.put_slice(body);
    bytes
}

/// Answers instead of a service.
async fn say(
    asker: &mut Http1<'_>,
    request: &RequestHeader,
    ctx: &mut Context,
    answer: Answer,
) -> Result<()> {
    let (head, body) = filters::own_answer(answer, request, ctx)?;
    asker.head(&head, &Spelling::default(), true);
    asker.piece(body).await?;
    asker.end(HeaderMap::new()).await
}
