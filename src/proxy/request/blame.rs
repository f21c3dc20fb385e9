//! Remembers which replica failed a request and why, for log, status and API.

use super::context::Context;
use super::failure;
use crate::proxy::edge::Edge;
use crate::service::event::Event;
use pingora::Error;

impl Context {
    /// Notes that the replica at work failed this request.
    pub(in crate::proxy) fn blame(&mut self, error: &Error) {
        let Some(lease) = &self.lease else {
            return;
        };
        let replica = lease.replica();
        let fault = replica.fault(failure::why(error));
        if !self.is_lost() {
            replica.faults.note(fault.clone());
        }
        self.fault = Some(fault);
    }
}

impl Edge {
    /// Tells of a request that no replica answered well, or whose answer was cut off. The client
    /// got `status`.
    pub(in crate::proxy) fn complain(&self, ctx: &mut Context, status: u16, error: Option<&Error>) {
        let is_a_replicas = |error| matches!(failure::status(error), 502 | 504);
        if !error.is_some_and(is_a_replicas) {
            return;
        }
        let (Some(fault), Some(route)) = (ctx.fault.take(), &ctx.route) else {
            return;
        };
        let snapshot = self.reader.load();
        let Some(service) = snapshot.service(route.service.as_str()) else {
            return;
        };
        if let Some(left_out) = service.load.faults.note(fault.clone()) {
            (self.tell)(&Event::RequestFailed {
                service: service.name.clone(),
                slot: fault.slot,
                id: fault.id,
                status,
                why: fault.why,
                left_out,
            });
        }
    }
}
