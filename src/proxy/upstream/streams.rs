//! A stream to a replica that speaks HTTP/2: on a connection that has room, or a new one.

use super::dial::Dial;
use crate::proxy::edge::Edge;
use crate::proxy::request::caller::{self, Caller};
use crate::proxy::request::context::Context;
use crate::proxy::request::failure;
use crate::service::replica::Replica;
use crate::service::replica::idle_pool::Use;
use crate::service::replica::multiplexed::StreamPermit;
use crate::service::replica::stream::ReplicaStream;
use h2::Ping;
use h2::client::Builder;
use pingora::{Error, ErrorType, Result};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Bytes that a replica may send ahead on one stream, before the client has taken them.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same of all streams on a connection. Clients that stall do not hold up the others until
/// there are very many of them.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Bytes of a request that wait here while the connection is busy.
const SEND_BYTES_MAX: usize = 64 << 10;
/// A replica's head is no longer.
const HEAD_BYTES_MAX: u32 = 256 << 10;

impl Edge {
    /// A stream's place on a connection to the replica that a request has. Fails when the client
    /// leaves while the request waits.
    pub(in crate::proxy) async fn open_stream(
        &self,
        caller: &mut impl Caller,
        used: Use,
        ctx: &mut Context,
    ) -> Result<StreamPermit> {
        let (Some(lease), Some(route)) = (&ctx.lease, &ctx.route) else {
            return Err(Error::new_in(ErrorType::InternalError));
        };
        let replica = Arc::clone(lease.replica());
        let multiplexed = &replica.connections.multiplexed;
        if let Some(permit) = multiplexed.take(used) {
            return Ok(permit);
        }
        let within = route.forward.connect_timeout;
        let patience = self.patience(ctx);
        let waits = timeout(patience.longest(within), multiplexed.turn());
        let _turn = tokio::select! {
            biased;
            () = replica.connections.lost() => return Err(failure::lost()),
            turn = waits => match turn {
                Ok(turn) => turn,
                Err(_) => {
                    let what = "waiting for a connection to a replica";
                    return Err(Error::explain(ErrorType::ConnectTimedout, what).into_up());
                }
            },
            left = caller.left() => return Err(left),
        };
        // Others waited for the same connection, and one of them has it by now.
        if let Some(permit) = multiplexed.take(used) {
            return Ok(permit);
        }
        let dial = Arc::new(Dial::new(&replica, &route.forward, patience));
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
        let stream = dialled.map_err(|error| error.into_up())?;
        tokio::select! {
            biased;
            () = replica.connections.lost() => Err(failure::lost()),
            begun = begin(&replica, stream, within) => begun.map_err(|error| error.into_up()),
        }
    }
}

/// Begins to speak HTTP/2. Once the replica has answered a ping, its settings are known.
async fn begin(
    replica: &Arc<Replica>,
    stream: ReplicaStream,
    within: Duration,
) -> Result<StreamPermit> {
    let descriptor = stream.as_raw_fd();
    let begun = timeout(within, async {
        let (requests, mut connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BYTES_MAX)
            .max_header_list_size(HEAD_BYTES_MAX)
            .enable_push(false)
            .handshake(stream)
            .await?;
        if let Some(mut pings) = connection.ping_pong() {
            let mut ended = false;
            tokio::select! {
                biased;
                end = &mut connection => {
                    end?;
                    ended = true;
                }
                pong = pings.ping(Ping::opaque()) => {
                    let _settled = pong?;
                }
            }
            if ended {
                return Ok(None);
            }
        }
        Ok::<_, h2::Error>(Some((requests, connection)))
    });
    let not_h2 = "the replica does not speak HTTP/2, which `protocol: h2` says";
    match begun.await {
        Ok(Ok(Some((requests, connection)))) => {
            let permit = replica.multiplex(requests, connection, descriptor);
            permit.ok_or_else(failure::lost)
        }
        Ok(Ok(None)) => Err(Error::explain(ErrorType::ConnectError, not_h2)),
        Ok(Err(error)) if error.is_io() => {
            let what = "the replica closed the connection before it spoke HTTP/2";
            Err(Error::because(ErrorType::ConnectError, what, error))
        }
        Ok(Err(error)) => Err(Error::because(ErrorType::ConnectError, not_h2, error)),
        Err(_) => {
            let what = "the replica spoke no HTTP/2 within connect_timeout";
            Err(Error::explain(ErrorType::ConnectTimedout, what))
        }
    }
}
