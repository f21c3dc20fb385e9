//! How replicas are spoken to: the protocol, and TLS.

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Protocol and TLS of the connections to a service's replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    pub protocol: Protocol,
    /// `None`: clear text.
    pub tls: Option<UpstreamTls>,
}

/// Protocol between Tidegate and replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Http1,
    /// HTTP/2, which replicas are known to speak.
    H2,
}

/// TLS to replicas. Equal when it was made from the same keys and files.
#[derive(Clone)]
pub struct UpstreamTls {
    config: Arc<ClientConfig>,
    /// Name that the replicas' certificate has; `None`: each replica's address.
    name: Option<ServerName<'static>>,
    made_from: [u8; 32],
}

impl UpstreamTls {
    /// `made_from` is a hash of everything that `config` and `name` were made from.
    pub fn new(
        config: ClientConfig,
        name: Option<ServerName<'static>>,
        made_from: [u8; 32],
    ) -> UpstreamTls {
        UpstreamTls {
            config: Arc::new(config),
            name,
            made_from,
        }
    }

    /// Shakes hands with the replica at `address`.
    pub async fn connect(
        &self,
        stream: TcpStream,
        address: IpAddr,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = self.name.clone();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(address.to_canonical().into()));
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, stream).await
    }
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &UpstreamTls) -> bool {
        self.made_from == other.made_from
    }
}

impl Eq for UpstreamTls {}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
