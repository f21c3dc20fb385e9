//! The edge as the client sees it, and connections to it.

use super::failure::{Failure, failure, io_failure};
use super::upload::Upload;
use crate::authority;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
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
