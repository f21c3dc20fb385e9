//! Facts about a connection over TLS, the same for all of its requests.

use super::clients::ClientCertificate;
use super::policy_id::PolicyId;
use std::sync::Arc;

/// Version of TLS that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

impl TlsVersion {
    /// As logs and metrics show it.
    pub fn label(self) -> &'static str {
        match self {
            TlsVersion::Tls12 => "1.2",
            TlsVersion::Tls13 => "1.3",
        }
    }
}

/// Protocol that was agreed on by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    H2,
}

/// Outcome of a handshake.
#[derive(Clone, Debug)]
pub struct TlsFacts {
    pub version: TlsVersion,
    pub protocol: Protocol,
    /// Host that the client named, in lower case.
    pub name: Option<Box<str>>,
    /// Policy for clients' certificates that the handshake followed.
    pub policy: PolicyId,
    /// Certificate that the client showed, which its policy's authorities have issued.
    pub client: Option<Arc<ClientCertificate>>,
    /// Whether the client came back with a ticket.
    pub is_resumed: bool,
}
