//! A request on a stream, from its head to its report.

use super::head;
use super::stream::{Shared, Stream};
use super::websocket;
use crate::proxy::edge::Edge;
use crate::proxy::http1::head::Spelling;
use crate::proxy::hygiene::Refusal;
use crate::proxy::request::context::Context;
use bytes::Bytes;
use h2::RecvStream;
use h2::ext::Protocol;
use h2::server::SendResponse;
use http::Request;

/// End of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Answered, or failed.
    Here,
    /// The client took its request back.
    Reset,
}

impl Edge {
    /// Serves one stream. Parts that live as long as the stream are made first, so that its future
    /// has room for each of them once.
    pub(super) fn stream<'a>(
        &'a self,
        shared: &'a Shared,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
    ) -> impl Future<Output = Ended> + Send + 'a {
        let settings = self.settings.load_full();
        let (mut parts, body) = request.into_parts();
        let protocol = parts.extensions.remove::<Protocol>();
        let mut head = head::request(parts, !body.is_end_stream(), settings.chain.room());
        let mut ctx = Context::new(settings, &self.in_flight);
        ctx.came_on(&shared.connection.wire);
        let key = match &protocol {
            Some(protocol) if protocol.as_str() == "websocket" => {
                Some(websocket::as_handshake(&mut head))
            }
            _ => None,
        };
        let mut clean = self.introduce(&mut head, &[], &mut ctx);
        if protocol.is_some() && key.is_none() {
            clean = Err(Refusal::Protocol);
        }
        let settings = ctx.settings.clone();
        let mut asker = Stream::new(shared, settings, &head.method, respond, body);
        async move {
            // Names are in lower case here, whoever sent them.
            let spelling = Spelling::default();
            let error = match key {
                None => {
                    let served = self.serve(&mut asker, &mut head, clean, &spelling, &mut ctx);
                    served.await
                }
                // On the heap, so that the others do not carry room for it.
                Some(key) => {
                    let served = self.websocket(&mut asker, &mut head, clean, &key, &mut ctx);
                    Box::pin(served).await
                }
            };
            let said = asker.finish();
            let status = said.status.map_or(0, |status| status.as_u16());
            self.report(&mut ctx, &head, status, said.body_bytes, error.as_deref());
            match said.was_reset {
                true => Ended::Reset,
                false => Ended::Here,
            }
        }
    }
}
