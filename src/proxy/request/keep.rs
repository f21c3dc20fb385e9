//! Whether a client's connection outlives its request.

use crate::proxy::edge::Edge;
use crate::proxy::hygiene;
use pingora::http::RequestHeader;

impl Edge {
    /// Whether another request may follow `head`: the client has said so, and this process stays.
    pub(in crate::proxy) fn keeps(&self, head: &RequestHeader, is_leaving: bool) -> bool {
        !hygiene::ends_connection(head) && self.still_keeps(is_leaving)
    }

    /// The same, once more before the answer's head is written.
    pub(in crate::proxy) fn still_keeps(&self, is_leaving: bool) -> bool {
        !is_leaving && !self.in_flight.ends_connections()
    }
}
