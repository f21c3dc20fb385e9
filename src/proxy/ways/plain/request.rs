//! A request on a client's HTTP/1 connection, from its head to its report.

use super::client::{Client, Next};
use super::http1::Http1;
use crate::proxy::door::Phase;
use crate::proxy::edge::Edge;
use crate::proxy::http1::fields::{asks_for_websocket, content_length};
use crate::proxy::http1::head;
use crate::proxy::request::context::Context;
use pingora::server::ShutdownWatch;

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
        ctx.came_on(&client.connection.wire);
        // One that is not clean has no route.
        let clean = self.introduce(&mut head, &raw, &mut ctx);
        let length = content_length(&head).unwrap_or(0);
        let fits = ctx
            .route
            .as_ref()
            .is_some_and(|route| length <= route.forward.max_request_body_bytes);
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
        let error = served.await;
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
}
