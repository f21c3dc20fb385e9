//! A connection to a replica: one that it keeps, or a new one.

use super::dial::Dial;
use crate::proxy::edge::Edge;
use crate::proxy::request::caller::{self, Caller};
use crate::proxy::request::context::Context;
use crate::service::replica::idle_pool::Use;
use crate::service::replica::stream::ReplicaStream;
use bytes::BytesMut;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;

/// Buffer of an answer's head, and with it all of a short body.
pub const ANSWER_BYTES: usize = 4 << 10;

pub struct Link {
    pub stream: ReplicaStream,
    /// Bytes that came and were not read yet.
    pub inbox: BytesMut,
    /// Whether a request was on it before.
    pub is_used: bool,
}

impl Edge {
    /// Connects a request to the replica that it has. `used` allows a kept connection. Fails when
    /// the client leaves while the request waits for its turn.
    pub(in crate::proxy) async fn link(
        &self,
        caller: &mut impl Caller,
        used: Option<Use>,
        ctx: &mut Context,
    ) -> Result<Link> {
        let (Some(lease), Some(target)) = (&ctx.lease, &ctx.route) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let kept = used.and_then(|used| lease.reuse(used));
        let is_used = kept.is_some();
        let stream = match kept {
            Some(stream) => stream,
            None => {
                let patience = self.patience(ctx);
                let dial = Arc::new(Dial::new(lease.replica(), &target.forward, patience));
                ctx.dial = Some(Arc::clone(&dial));
                let turn = tokio::select! {
                    biased;
                    turn = dial.turn() => turn.map_err(|error| error.into_up())?,
                    left = caller.left() => return Err(left),
                };
                if dial.has_waited() && caller.has_left() {
                    return Err(caller::gone());
                }
                let dialled = dial.connect_in(turn).await;
                dialled.map_err(|error| error.into_up())?
            }
        };
        Ok(Link {
            stream,
            inbox: BytesMut::new(),
            is_used,
        })
    }
}
