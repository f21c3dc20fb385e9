//! A request as it arrives: who asks, for which service, and who waits for the answer.

use super::context::Context;
use super::forwarded;
use crate::proxy::answers::waiting;
use crate::proxy::balance;
use crate::proxy::edge::Edge;
use crate::proxy::hygiene::{self, Refusal, Slashes, Way};
use crate::proxy::route::Route;
use crate::service::network::any_contains;
use pingora::http::RequestHeader;
use std::sync::Arc;

impl Edge {
    /// Cleans the head, and finds the client and, if the head is clean, the route. `raw` is the
    /// head as it came, where there is such a thing.
    pub(in crate::proxy) fn introduce(
        &self,
        head: &mut RequestHeader,
        raw: &[u8],
        ctx: &mut Context,
    ) -> std::result::Result<Way, Refusal> {
        let settings = &ctx.settings;
        let mut clean = hygiene::request(head, raw, &settings.limits);
        let peer = ctx.peer.as_ref().map(|peer| peer.address);
        let trusted = &settings.trusted_proxies;
        ctx.exchange.client = forwarded::client(head, peer, trusted);
        ctx.exchange.protocol = head.version;
        ctx.exchange.is_trusted = peer.is_some_and(|peer| any_contains(trusted, peer));
        if let Ok(Way::ToAService(slashes)) = clean {
            ctx.route = settings.routes.find(head, ctx.exchange.client).cloned();
            let keeps = |route: &Arc<Route>| route.keeps_encoded_slashes;
            if slashes == Slashes::Encoded && !ctx.route.as_ref().is_some_and(keeps) {
                ctx.route = None;
                clean = Err(Refusal::EncodedSlash);
            }
            let forward = ctx.route.as_ref().map(|route| &route.forward);
            ctx.key = forward.and_then(|it| balance::key(it, &head.headers, ctx.exchange.client));
        }
        ctx.exchange.service = ctx.route.as_ref().map(|route| route.service.clone());
        clean
    }
}

/// A request as it comes, before it has a replica.
pub struct Arrival {
    /// For the scaler.
    pub counts: bool,
    /// A person waits for it, who may be shown a page meanwhile.
    pub wants_a_page: bool,
}

impl Arrival {
    pub fn of(head: &RequestHeader, ctx: &Context) -> Arrival {
        let route = ctx.route.as_ref();
        let scaler = route.and_then(|route| route.scaler.as_ref());
        Arrival {
            counts: scaler.is_some_and(|scaler| scaler.counts(head.uri.path())),
            wants_a_page: route.is_some_and(|route| route.forward.waiting_page)
                && waiting::is_for_a_page(head),
        }
    }
}
