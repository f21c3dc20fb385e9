//! The filters of a request, in the user's order.

use super::context::Context;
use crate::plugin::{Request, Response, Verdict};
use pingora::http::{RequestHeader, ResponseHeader};

pub fn filter_request(head: &mut RequestHeader, ctx: &mut Context) -> Verdict {
    let Context {
        settings,
        exchange,
        target,
        ..
    } = ctx;
    let chain = target
        .as_ref()
        .map_or(&settings.chain, |target| &target.chain);
    let mut request = Request { head, exchange };
    for filter in &chain.filters {
        if let Verdict::Answer(answer) = filter.request(&mut request) {
            return Verdict::Answer(answer);
        }
    }
    Verdict::Continue
}

pub fn filter_response(head: &mut ResponseHeader, ctx: &Context) {
    let mut response = Response {
        head,
        exchange: &ctx.exchange,
    };
    for filter in &ctx.chain().filters {
        filter.response(&mut response);
    }
}
