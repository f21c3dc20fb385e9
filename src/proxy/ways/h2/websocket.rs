//! WebSockets on streams (RFC 8441): a CONNECT becomes the handshake that replicas know, and their
//! 101 a 200.

use super::stream::Stream;
use crate::proxy::answers::own::plain;
use crate::proxy::door::Phase;
use crate::proxy::edge::Edge;
use crate::proxy::http1::head::{self, Spelling};
use crate::proxy::hygiene::{Refusal, Way};
use crate::proxy::request::answered::awaits_answer;
use crate::proxy::request::context::Context;
use crate::proxy::request::failure;
use crate::proxy::request::filters;
use crate::proxy::request::judge::{Broke, Failed};
use crate::proxy::request::retry::Reach;
use crate::proxy::request::serve::{Attempt, Stop};
use crate::proxy::upstream::link::Link;
use crate::proxy::upstream::secured::for_pingora;
use crate::proxy::ways::plain::answerer::Answerer;
use crate::proxy::ways::plain::asker::Asker;
use crate::proxy::ways::plain::exchange::Exchange;
use crate::proxy::ways::plain::outgoing::Outgoing;
use crate::proxy::ways::plain::patience::Patience;
use crate::proxy::ways::plain::replica::Http1Replica;
use crate::proxy::ways::plain::sending::Request;
use crate::proxy::ways::plain::serve::{Arrived, say, tell_failure};
use crate::proxy::ways::plain::upload::Upload;
use crate::proxy::ways::tunnel::head::{for_client, for_replica, switches_to_websocket};
use crate::proxy::ways::tunnel::pipe::{End, Pipe};
use crate::service::replica::idle_pool::Use;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};
use sha1::{Digest, Sha1};
use std::task::{Context as TaskContext, Poll, ready};
use uuid::Uuid;

/// Text that a server adds to a client's key (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Makes the head of an extended CONNECT the one of a handshake by HTTP/1, so that routes, filters
/// and replicas see the same. Returns its key.
pub fn as_handshake(head: &mut RequestHeader) -> HeaderValue {
    let key = BASE64_STANDARD.encode(Uuid::new_v4().as_bytes());
    let key = HeaderValue::from_str(&key).unwrap_or(HeaderValue::from_static(""));
    head.set_method(Method::GET);
    head.set_version(Version::HTTP_11);
    let _ = head.insert_header(CONNECTION, "Upgrade");
    let _ = head.insert_header(UPGRADE, "websocket");
    let _ = head.insert_header(SEC_WEBSOCKET_KEY, key.clone());
    key
}

/// Whether a 101 answers the handshake with this key.
fn accepts(answer: &ResponseHeader, key: &HeaderValue) -> bool {
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let expected = BASE64_STANDARD.encode(hash);
    let said = answer.headers.get(SEC_WEBSOCKET_ACCEPT);
    switches_to_websocket(answer) && said.is_some_and(|said| said.as_bytes() == expected.as_bytes())
}

/// A handshake with whichever replica the request has.
struct Handshake<'a, 'b> {
    stream: &'a mut Stream<'b>,
    head: &'a RequestHeader,
    /// As text.
    request: &'a Outgoing,
    key: &'a HeaderValue,
}

impl<'b> Attempt for Handshake<'_, 'b> {
    type Caller = Stream<'b>;
    /// The connection and the 101; `None`: another answer was passed on.
    type Answered = Option<(Link, ResponseHeader)>;

    fn caller(&mut self) -> &mut Stream<'b> {
        self.stream
    }

    async fn ask(
        &mut self,
        edge: &Edge,
        ctx: &mut Context,
    ) -> std::result::Result<Self::Answered, Failed> {
        let Outgoing::Text(text) = self.request else {
            return Err(Failed::unconnected(Error::new_in(ErrorType::InternalError)));
        };
        // Others were on a kept connection, and nobody but the tunnel may be on this one.
        let link = edge.link(self.stream, None, ctx).await;
        let link = link.map_err(Failed::unconnected)?;
        let mut replica = Http1Replica::new(link, text, false);
        match self.ask_on(&mut replica, edge, ctx).await {
            Ok(Some(answer)) => Ok(Some((replica.into_link(), answer))),
            Ok(None) => Ok(None),
            Err(error) => Err(Failed {
                error,
                connection: Some(Broke {
                    was_used: false,
                    answer_began: self.stream.has_begun(),
                    body_is_kept: true,
                }),
            }),
        }
    }
}

impl Handshake<'_, '_> {
    /// Sends the handshake. Returns the 101; `None`: it was declined.
    async fn ask_on(
        &mut self,
        replica: &mut Http1Replica<'_>,
        edge: &Edge,
        ctx: &mut Context,
    ) -> Result<Option<ResponseHeader>> {
        let lease = ctx.lease.as_mut();
        if !lease.is_some_and(|lease| replica.note(lease)) {
            return Err(failure::lost());
        }
        let forward = ctx.route.as_ref().map(|route| &route.forward);
        let patience = forward.map_or_else(Patience::default, |forward| Patience {
            read: forward.read_timeout,
            write: forward.write_timeout,
        });
        self.stream.enter(awaits_answer(ctx));
        ctx.reach = Reach::Head;
        let mut nothing = Upload::none();
        replica.send(true, patience.write, &mut ctx.reach).await?;
        loop {
            let Some((mut answer, spelling)) = replica.head(ctx.chain().room())? else {
                patience.hear(self.stream, replica, &mut nothing).await?;
                continue;
            };
            if answer.status == StatusCode::SWITCHING_PROTOCOLS {
                if !accepts(&answer, self.key) {
                    let what = "a 101 that does not switch to a WebSocket";
                    return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
                }
                return Ok(Some(answer));
            }
            let instead = edge.heed_answer(self.head, &mut answer, ctx)?;
            if answer.status.is_informational() {
                self.stream.interim(&answer, &spelling).await?;
                continue;
            }
            self.stream.enter(Phase::Answer);
            if let Some(content) = instead {
                self.stream.head(answer, &spelling, false);
                self.stream.piece(content).await?;
                self.stream.end(HeaderMap::new()).await?;
                return Ok(None);
            }
            let mut exchange = Exchange {
                asker: &mut *self.stream,
                head: self.head,
                request: self.request,
                upload: nothing,
                body_bytes: 0,
            };
            let answer = (answer, spelling);
            exchange.pass(replica, answer, patience, edge, ctx).await?;
            return Ok(None);
        }
    }
}

impl Edge {
    /// Serves a stream that asks for a WebSocket, as `as_handshake` made its head. `ctx` holds the
    /// lease for as long as it takes. Bytes that the client sends early stay in its window until
    /// the replica has agreed.
    pub(super) async fn websocket(
        &self,
        stream: &mut Stream<'_>,
        head: &mut RequestHeader,
        clean: std::result::Result<Way, Refusal>,
        key: &HeaderValue,
        ctx: &mut Context,
    ) -> Option<Box<Error>> {
        let opened = self.open_websocket(stream, head, clean, key, ctx).await;
        let error = opened.err()?;
        Some(tell_failure(stream, head, ctx, error).await)
    }

    async fn open_websocket(
        &self,
        stream: &mut Stream<'_>,
        head: &mut RequestHeader,
        clean: std::result::Result<Way, Refusal>,
        key: &HeaderValue,
        ctx: &mut Context,
    ) -> Result<()> {
        let mut arrived = Arrived {
            asker: &mut *stream,
            head: &mut *head,
        };
        let arrival = match self.guards(&mut arrived, clean, ctx).await? {
            Ok(arrival) => arrival,
            Err(Stop::Refuse(status)) => return say(stream, head, ctx, plain(status)).await,
            Err(Stop::Answer(answer)) => return say(stream, head, ctx, answer).await,
        };
        if let Some(answer) = self.admit(stream, arrival, ctx).await? {
            return say(stream, head, ctx, answer).await;
        }
        let mut sent = for_replica(head)?;
        ctx.forwarded.complete(&mut sent);
        let mut bytes = BytesMut::new();
        head::put_request(&mut bytes, &sent, &Spelling::default());
        bytes.put_slice(b"\r\n");
        let request = Outgoing::Text(Request {
            head: bytes,
            body: BytesMut::new(),
            used: Use::Once,
        });
        let mut handshake = Handshake {
            stream,
            head,
            request: &request,
            key,
        };
        match self.attempts(&mut handshake, head, ctx).await? {
            None => Ok(()),
            Some((link, answer)) => {
                self.is_answered(answer.status, ctx);
                join(stream, head, link, answer, ctx).await
            }
        }
    }
}

/// Tells the client that its replica has agreed, and passes whatever comes, either way.
async fn join(
    stream: &mut Stream<'_>,
    head: &RequestHeader,
    link: Link,
    mut answer: ResponseHeader,
    ctx: &mut Context,
) -> Result<()> {
    for_client(&mut answer)?;
    if let Some(body) = filters::answer(&mut answer, head, ctx)? {
        stream.head(answer, &Spelling::default(), false);
        stream.piece(body).await?;
        return stream.end(HeaderMap::new()).await;
    }
    let (Some(lease), Some(route)) = (&ctx.lease, &ctx.route) else {
        return Err(Error::new_in(ErrorType::InternalError));
    };
    answer.remove_header(&SEC_WEBSOCKET_ACCEPT);
    answer.set_status(StatusCode::OK)?;
    stream.head(answer, &Spelling::default(), false);
    stream.begin(false)?;
    stream.enter(Phase::Tunnel);
    let early = link.inbox.freeze();
    let replica = Box::new(for_pingora(link.stream));
    let idle = route.forward.tunnel_idle_timeout;
    let mut pipe = Pipe::between(Client::new(stream), replica, early, idle);
    let cut = tokio::select! {
        ended = pipe.run() => ended.err(),
        () = lease.replica().dismissed() => Some("the replica has left".to_owned()),
    };
    ctx.request_body_bytes = pipe.bytes_up();
    ctx.cut = cut;
    Ok(())
}

/// The client's side of a tunnel.
struct Client<'a, 'b> {
    stream: &'a mut Stream<'b>,
}

impl<'a, 'b> Client<'a, 'b> {
    fn new(stream: &'a mut Stream<'b>) -> Client<'a, 'b> {
        Client { stream }
    }
}

impl End for Client<'_, '_> {
    fn poll_read(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<std::result::Result<Option<Bytes>, String>> {
        let read = self.stream.poll_body(cx);
        read.map_err(|error| format!("the client's stream broke: {error}"))
    }

    fn poll_write(
        &mut self,
        cx: &mut TaskContext<'_>,
        piece: &mut Bytes,
    ) -> Poll<std::result::Result<(), ()>> {
        while !piece.is_empty() {
            let room = ready!(self.stream.poll_room(cx, piece.len()));
            let part = piece.split_to(room.map_err(drop)?);
            self.stream.send_part(part, false).map_err(drop)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _cx: &mut TaskContext<'_>) -> Poll<()> {
        let _ = self.stream.send_part(Bytes::new(), true);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_101_must_answer_the_key() {
        // The example of RFC 6455 §1.3.
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        for (accept, upgrade, expected) in [
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "websocket", true),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", "websocket", false),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "h2c", false),
        ] {
            let mut answer = ResponseHeader::build(101, None).unwrap();
            answer.insert_header(SEC_WEBSOCKET_ACCEPT, accept).unwrap();
            answer.insert_header(UPGRADE, upgrade).unwrap();
            assert_eq!(accepts(&answer, &key), expected, "{accept} {upgrade}");
        }
    }
}
