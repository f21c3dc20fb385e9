//! The edge as the client sees it, and connections to it.

use super::exchange::{Failure, failure};
use super::upload::Upload;
use crate::authority;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Where requests go: with `tls` by HTTP/2, else by HTTP/1.1 in clear.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    pub tls: Option<Arc<ClientConfig>>,
}

impl Target {
    pub async fn http1(&self) -> Result<http1::SendRequest<Upload>, Failure> {
        let stream = self.stream().await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failure(&error, Failure::Closed))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    pub async fn http2(
        &self,
        tls: &Arc<ClientConfig>,
    ) -> Result<http2::SendRequest<Upload>, Failure> {
        let stream = self.stream().await?;
        let connector = TlsConnector::from(Arc::clone(tls));
        let name =
            ServerName::try_from(authority::NAME).map_err(|why| Failure::Other(why.to_string()))?;
        let stream = connector.connect(name, stream).await;
        let stream = stream.map_err(|error| io_failure(&error, Failure::Closed))?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .map_err(|error| failure(&error, Failure::Closed))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn stream(&self) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(self.address).await;
        let stream = stream.map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => Failure::Refused,
            _ => io_failure(&error, Failure::Closed),
        })?;
        // Halves of a body are to leave when they are sent.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

/// An error of a connection in a user's words; `ended`: the meaning of its early end here.
pub fn io_failure(error: &std::io::Error, ended: Failure) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Failure::Reset,
        ErrorKind::UnexpectedEof => ended,
        _ => Failure::Other(error.to_string()),
    }
}

/// Whether the edge has said that it did nothing about a request, which every client may then
/// repeat (RFC 9113, 8.7): its stream was refused, or came after those that GOAWAY names. A request
/// that never left is another one.
pub fn is_untouched(error: &hyper::Error) -> bool {
    if error.is_canceled() || error.is_closed() {
        return true;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return match error.reason() {
                Some(h2::Reason::REFUSED_STREAM) => error.is_reset() && error.is_remote(),
                Some(h2::Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
                _ => false,
            };
        }
        cause = error.source();
    }
    false
}
