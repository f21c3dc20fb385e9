//! Failed attempts: what they say about the replica, and whether the request gets another one.

use super::context::Context;
use super::failure;
use super::retry::BrokenAttempt;
use crate::proxy::edge::Edge;
use crate::proxy::upstream::dial::Patience;
use crate::service::replica::Replica;
use http::StatusCode;
use pingora::http::RequestHeader;
use pingora::{Error, ErrorSource, ErrorType};
use std::sync::Arc;

/// An attempt that no answer came of.
pub struct Failed {
    pub error: Box<Error>,
    /// The connection that broke; `None`: there was none yet.
    pub connection: Option<Broke>,
}

/// The connection of a failed attempt.
#[derive(Clone, Copy)]
pub struct Broke {
    /// Other requests were on it before.
    pub was_used: bool,
    /// The client has something of an answer.
    pub answer_began: bool,
    /// All of the body that was read is remembered.
    pub body_is_kept: bool,
}

impl Failed {
    pub fn unconnected(error: Box<Error>) -> Failed {
        Failed {
            error,
            connection: None,
        }
    }
}

impl Edge {
    /// Learns from a failed attempt. Whether the request goes on, to this replica or another.
    pub(in crate::proxy) fn judge(
        &self,
        failed: &Failed,
        head: &RequestHeader,
        ctx: &mut Context,
    ) -> bool {
        match failed.connection {
            None => self.was_not_connected(&failed.error, ctx),
            Some(broke) => self.broke_off(&failed.error, broke, head, ctx),
        }
    }

    fn was_not_connected(&self, error: &Error, ctx: &mut Context) -> bool {
        if *error.esource() == ErrorSource::Downstream {
            ctx.leave();
            return false;
        }
        if self.dials_again(error, ctx) {
            return true;
        }
        ctx.blame(error);
        // Nothing was sent, so any method may be tried elsewhere.
        let again = failure::is_connect(error) && self.may_retry(ctx);
        if !ctx.is_lost() {
            ctx.doubt();
        }
        ctx.leave();
        again
    }

    fn broke_off(
        &self,
        error: &Error,
        broke: Broke,
        head: &RequestHeader,
        ctx: &mut Context,
    ) -> bool {
        let was_used = broke.was_used;
        let broken = BrokenAttempt {
            error,
            reach: ctx.reach,
            answer_began: broke.answer_began,
            body_is_kept: broke.body_is_kept,
            is_idempotent: head.method.is_idempotent(),
        };
        let again = broken.may_go_elsewhere() && self.may_retry(ctx);
        let is_stale = was_used && failure::is_broken(error) && again;
        if *error.esource() == ErrorSource::Upstream && !is_stale {
            ctx.blame(error);
        }
        if ctx.is_lost() {
            // Taken back: nothing new is learnt of the replica.
        } else if was_used && failure::is_broken(error) {
            // The connection was stale, which says nothing about the replica.
            ctx.tried.pop();
        } else if failure::is_broken(error) {
            ctx.doubt();
        } else if failure::is_malformed(error) {
            // The client gets this as an answer.
            self.heed(StatusCode::BAD_GATEWAY, ctx);
        }
        ctx.leave();
        again
    }

    /// Whether this request may have one more attempt. The budget pays for none that was taken back
    /// from a lost replica, or never sent because its turn did not come: these add no load to a
    /// replica in trouble.
    fn may_retry(&self, ctx: &Context) -> bool {
        let Some(route) = &ctx.route else {
            return false;
        };
        let terms = &route.forward.retries;
        let snapshot = self.reader.load();
        let service = snapshot.service(route.service.as_str());
        let left_the_line = ctx.dial.as_ref().is_some_and(|dial| dial.left_the_line());
        let is_free = ctx.is_lost() || left_the_line;
        ctx.attempts < terms.attempts
            && (is_free || service.is_some_and(|service| service.load.may_retry(terms)))
    }

    /// Whether a connection that took too long is tried once more where it was. When nobody else
    /// is there, it waits for this one as it would for one that is on its way: the listen queue
    /// was full, and the kernel asks again only when we have long given up.
    fn dials_again(&self, error: &Error, ctx: &mut Context) -> bool {
        let Some(route) = &ctx.route else {
            return false;
        };
        let forward = &route.forward;
        let timed_out = *error.etype() == ErrorType::ConnectTimedout;
        if !timed_out || ctx.is_lost() || ctx.held >= forward.hold_timeout {
            return false;
        }
        let snapshot = self.reader.load();
        let is_other = |replica: &Arc<Replica>| !ctx.tried.contains(&replica.generation);
        let service = snapshot.service(route.service.as_str());
        if service.is_none_or(|service| service.ready.iter().any(is_other)) {
            return false;
        }
        ctx.held += match &ctx.dial {
            Some(dial) => dial.took(),
            None => forward.connect_timeout,
        };
        ctx.doubt();
        true
    }

    /// How long the request waits for its turn to connect to the replica that it has.
    pub(in crate::proxy) fn patience(&self, ctx: &Context) -> Patience {
        let Some(route) = &ctx.route else {
            return Patience::Little;
        };
        let forward = &route.forward;
        let snapshot = self.reader.load();
        let service = snapshot.service(route.service.as_str());
        let would_do = |replica: &Arc<Replica>| {
            !ctx.tried.contains(&replica.generation)
                && !replica.doubt.is_raised()
                && replica.gate.is_open()
        };
        let is_another = service.is_some_and(|service| service.ready.iter().any(would_do));
        match is_another && ctx.attempts < forward.retries.attempts {
            true => Patience::Little,
            false => {
                let left = forward.hold_timeout.saturating_sub(ctx.held);
                Patience::Until(left.max(forward.connect_timeout))
            }
        }
    }
}
