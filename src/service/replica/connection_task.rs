//! The task of a connection that many requests share.

use super::live::Replica;
use super::multiplexed::StreamPermit;
use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use std::os::fd::RawFd;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

impl Replica {
    /// Runs a connection until its end, and takes the first permit on it. `None`: the replica is
    /// lost meanwhile.
    pub fn multiplex<T>(
        self: &Arc<Replica>,
        requests: SendRequest<Bytes>,
        connection: Connection<T, Bytes>,
        descriptor: RawFd,
    ) -> Option<StreamPermit>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let connections = &self.connections;
        // Requests see by themselves that the replica is lost. Those that stay all the same need
        // the connection until the replica is gone.
        let note = connections.note(descriptor, false)?;
        let permit = connections.multiplexed.add(requests, descriptor);
        // A replica that nobody knows any more takes its connections along.
        let replica = Arc::downgrade(self);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                log::debug!("an HTTP/2 connection to a replica ended: {error}");
            }
            if let Some(replica) = replica.upgrade() {
                replica.connections.forget(note);
            }
        });
        Some(permit)
    }
}
