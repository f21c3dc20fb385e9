//! Claims: counting a request and giving it a replica.

use super::arrival::Arrival;
use super::caller::{self, Caller};
use super::context::Context;
use super::hold;
use crate::plugin::Answer;
use crate::proxy::answers::own::unavailable;
use crate::proxy::answers::waiting;
use crate::proxy::balance::{self, Ask};
use crate::proxy::edge::Edge;
use crate::proxy::route::Route;
use crate::service::replica::lease::Lease;
use http::StatusCode;
use pingora::{Error, ErrorType, Result};
use std::time::Instant;

impl Edge {
    /// Counts the request and gives it a replica, or says what to answer: there is none, and none
    /// to wait for, or a page waits in its stead.
    pub(in crate::proxy) async fn admit(
        &self,
        caller: &mut impl Caller,
        arrival: Arrival,
        ctx: &mut Context,
    ) -> Result<Option<Answer>> {
        let Some(route) = ctx.route.clone() else {
            return Ok(Some(unavailable()));
        };
        if !self.note(&route, arrival.counts, ctx.started) {
            tokio::select! {
                biased;
                left = caller.left() => return Err(left),
                () = Box::pin(hold::until_known(&self.reader, &route)) => {}
            }
            self.note(&route, arrival.counts, ctx.started);
        }
        if arrival.wants_a_page
            && let Some(service) = self.reader.load().service(route.service.as_str())
            && service.ready.is_empty()
            && service.coming
        {
            return Ok(Some(waiting::page(service.name.as_str())));
        }
        let Some(lease) = self.claim(caller, ctx).await? else {
            return Ok(Some(unavailable()));
        };
        self.take(ctx, lease);
        Ok(None)
    }

    /// Gives the request another replica, if it has none.
    pub(in crate::proxy) async fn claim_next(
        &self,
        caller: &mut impl Caller,
        ctx: &mut Context,
    ) -> Result<()> {
        if ctx.lease.is_none() {
            let Some(lease) = self.claim(caller, ctx).await? else {
                return Err(Error::explain(
                    ErrorType::HTTPStatus(StatusCode::BAD_GATEWAY.as_u16()),
                    "every ready replica was tried",
                ));
            };
            self.take(ctx, lease);
        }
        Ok(())
    }

    /// Claims the next replica that this request has not tried, or waits for one. Fails when its
    /// client leaves meanwhile.
    async fn claim(&self, caller: &mut impl Caller, ctx: &mut Context) -> Result<Option<Lease>> {
        let Some(route) = &ctx.route else {
            return Ok(None);
        };
        let ask = Ask {
            forward: &route.forward,
            key: ctx.key.as_deref(),
            tried: &ctx.tried,
        };
        let lease = {
            let snapshot = self.reader.load();
            let Some(service) = snapshot.service(route.service.as_str()) else {
                return Ok(None);
            };
            match hold::is_kept_by_others(service, &route.forward, &ctx.tried) {
                true => None,
                false => balance::claim(service, ask),
            }
        };
        if lease.is_some() {
            return Ok(lease);
        }
        let began = Instant::now();
        let patience = route.forward.hold_timeout.saturating_sub(ctx.held);
        let waited = tokio::select! {
            biased;
            left = caller.left() => Err(left),
            // On the heap, so that those who need not wait are moved without it.
            lease = Box::pin(hold::wait(&self.reader, route, ask, patience)) => Ok(lease),
        };
        ctx.held += began.elapsed();
        match waited {
            Ok(Some(_)) if caller.has_left() => Err(caller::gone()),
            waited => waited,
        }
    }

    fn take(&self, ctx: &mut Context, lease: Lease) {
        ctx.attempts += 1;
        ctx.tried.push(lease.replica().generation);
        ctx.exchange.slot = Some(lease.replica().slot);
        ctx.lease = Some(lease);
    }

    /// Counts a request; false when nobody has published its service yet.
    fn note(&self, route: &Route, counts: bool, now: Instant) -> bool {
        let snapshot = self.reader.load();
        let service = snapshot.service(route.service.as_str());
        service.is_some_and(|service| {
            service.load.note(counts);
            service.load.keep_time(now);
            true
        })
    }
}
