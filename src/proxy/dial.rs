//! Opening a connection to a replica.
//!
//! Pingora asks for one only when it has none that can be used again, so this is the place where
//! connections take turns, and where those on their way to a replica that is lost are given up.

use super::failure;
use crate::service::dials::Turn;
use crate::service::replica::Replica;
use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::{Error, ErrorType, Result};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A program that is well has taken a connection up by then. Whether it has is only known when it
/// answers, which may take long for other reasons.
const TAKEN_UP_WITHIN: Duration = Duration::from_millis(10);

/// What the kernel keeps of an answer until it is read, and as much again for itself. Left alone
/// this grows to several MiB (`net.ipv4.tcp_rmem`) for each client that does not read.
const UNREAD_BYTES_MAX: u32 = 128 << 10;

/// One attempt's connection, should a new one be needed.
#[derive(Debug)]
pub struct Dial {
    replica: Arc<Replica>,
    /// Counts from the moment when it is this connection's turn.
    within: Duration,
    /// Ends the turn when it is dropped.
    turn: Mutex<Option<oneshot::Sender<()>>>,
}

#[async_trait]
impl Connect for Dial {
    async fn connect(&self, _address: &SocketAddr) -> Result<Stream> {
        Ok(self.stream().await?.into())
    }
}

impl Dial {
    pub fn new(replica: &Arc<Replica>, within: Duration) -> Dial {
        Dial {
            replica: Arc::clone(replica),
            within,
            turn: Mutex::default(),
        }
    }

    pub async fn stream(&self) -> Result<TcpStream> {
        tokio::select! {
            biased;
            () = self.replica.connections.lost() => Err(failure::lost()),
            dialled = self.dial() => dialled,
        }
    }

    async fn dial(&self) -> Result<TcpStream> {
        let dials = &self.replica.connections.dials;
        let turn = dials.turn().await;
        let dialled = timeout(self.within, connect(self.replica.address)).await;
        let error = match dialled {
            Ok(Ok(stream)) => {
                dials.succeeded();
                self.keep(turn);
                return Ok(stream);
            }
            Ok(Err(error)) => error,
            Err(_) => std::io::Error::from(ErrorKind::TimedOut),
        };
        let kind = match error.kind() {
            ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
            ErrorKind::TimedOut => {
                dials.came_to_nothing(turn);
                ErrorType::ConnectTimedout
            }
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
            _ => ErrorType::ConnectError,
        };
        Err(Error::because(kind, "connecting to a replica", error))
    }

    /// The replica has said something, so it has taken the connection up.
    pub fn is_answered(&self) {
        drop(self.kept().take());
    }

    fn keep(&self, turn: Turn) {
        let (sender, answered) = oneshot::channel();
        *self.kept() = Some(sender);
        tokio::spawn(async move {
            let _ = timeout(TAKEN_UP_WITHIN, answered).await;
            drop(turn);
        });
    }

    fn kept(&self) -> impl std::ops::DerefMut<Target = Option<oneshot::Sender<()>>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(address: std::net::SocketAddr) -> std::io::Result<TcpStream> {
    let socket = match address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.set_recv_buffer_size(UNREAD_BYTES_MAX)?;
    socket.connect(address).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use tokio::net::TcpListener;

    /// A size that is set is kept; what is left alone grows while an answer is read.
    #[tokio::test]
    async fn what_a_replica_sends_ahead_has_a_bound() {
        let replica = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect(replica.local_addr().unwrap()).await.unwrap();
        let bytes = SockRef::from(&stream).recv_buffer_size().unwrap();
        // Linux doubles what it is told (socket(7)).
        assert_eq!(bytes, 2 * UNREAD_BYTES_MAX as usize);
    }
}
