//! Opening a connection to a replica.
//!
//! Pingora asks for one only when it has none that can be used again, so this is the place where
//! connections take turns, and where those on their way to a replica that is lost are given up.

use super::failure;
use crate::service::replica::Replica;
use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::{Error, ErrorType, Result};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

#[derive(Debug)]
pub struct Dial {
    pub replica: Arc<Replica>,
    /// Counts from the moment when it is this connection's turn.
    pub within: Duration,
}

#[async_trait]
impl Connect for Dial {
    async fn connect(&self, _address: &SocketAddr) -> Result<Stream> {
        tokio::select! {
            biased;
            () = self.replica.connections.lost() => Err(failure::lost()),
            dialled = self.dial() => dialled,
        }
    }
}

impl Dial {
    async fn dial(&self) -> Result<Stream> {
        let _turn = self.replica.connections.turn().await;
        match timeout(self.within, TcpStream::connect(self.replica.address)).await {
            Ok(Ok(stream)) => Ok(stream.into()),
            Ok(Err(error)) => {
                let kind = match error.kind() {
                    ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                    ErrorKind::TimedOut => ErrorType::ConnectTimedout,
                    ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                        ErrorType::ConnectNoRoute
                    }
                    _ => ErrorType::ConnectError,
                };
                Err(Error::because(kind, "connecting to a replica", error))
            }
            Err(_) => Err(Error::explain(
                ErrorType::ConnectTimedout,
                "connecting to a replica",
            )),
        }
    }
}
