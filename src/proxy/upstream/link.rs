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
                // On the heap, so that a request on a kept connection is moved without it.
                Box::pin(dialled(caller, dial)).await?
            }
        };
        Ok(Link {
            stream,
            inbox: BytesMut::new(),
            is_used,
        })
    }
}

/// A new connection, once it is its turn.
async fn dialled(caller: &mut impl Caller, dial: Arc<Dial>) -> Result<ReplicaStream> {
    let turn = tokio::select! {
        biased;
        turn = dial.turn() => turn.map_err(|error| error.into_up())?,
        left = caller.left() => return Err(left),
    };
    if dial.has_waited() && caller.has_left() {
        return Err(caller::gone());
    }
    let connected = dial.connect_in(turn).await;
    connected.map_err(|error| error.into_up())
}
