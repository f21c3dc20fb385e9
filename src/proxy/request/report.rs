//! The end of a request: its lease goes back, and the observers get its record.

use super::context::Context;
use crate::plugin::Record;
use crate::proxy::edge::Edge;
use crate::proxy::http1::fields::host;
use pingora::Error;
use pingora::http::RequestHeader;

impl Edge {
    /// Gives the lease back and tells the observers what became of the request.
    pub(in crate::proxy) fn report(
        &self,
        ctx: &mut Context,
        head: &RequestHeader,
        status: u16,
        response_body_bytes: u64,
        error: Option<&Error>,
    ) {
        ctx.lease = None;
        // A refusal counts as such, whatever words it was told in.
        let status = match (status, ctx.refused_with) {
            (200, Some(refused)) => refused.as_u16(),
            _ => status,
        };
        self.complain(ctx, status, error);
        let text = error.map(ToString::to_string).or(ctx.cut.take());
        let text = text.or_else(|| ctx.refused.map(|refusal| refusal.to_string()));
        let duration = ctx.started.elapsed();
        if let Some(route) = &ctx.route
            && let Some(service) = self.reader.load().service(route.service.as_str())
        {
            service.load.answers.note(status, duration);
        }
        let asked = ctx.exchange.asked.as_ref().unwrap_or(&head.uri);
        let record = Record {
            exchange: &ctx.exchange,
            method: &head.method,
            target: asked.path_and_query().map_or("/", |target| target.as_str()),
            host: host(head),
            status,
            slot: ctx.exchange.slot,
            duration,
            held: ctx.held,
            retries: ctx.attempts.saturating_sub(1),
            request_body_bytes: ctx.request_body_bytes,
            response_body_bytes,
            error: text.as_deref(),
        };
        for observer in &ctx.chain().observers {
            observer.request(&record);
        }
    }
}
