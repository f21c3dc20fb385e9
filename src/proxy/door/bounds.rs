//! Limits of connections, as configured.

use std::net::SocketAddr;
use std::time::Duration;

/// Cost that a connection may cause.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub connections: u32,
    pub connections_per_address: u32,
    /// For a whole head, and for a PROXY header before it.
    pub header_timeout: Duration,
    /// Bytes a second that a client must send of a body and take of an answer, all in all; 0 is
    /// no such limit.
    pub min_rate_bytes: u64,
    /// Listeners on which trusted proxies begin with a PROXY header.
    pub proxy_protocol: Vec<SocketAddr>,
}

impl Bounds {
    /// Whether connections to `local` begin with a PROXY header. A listener may be every address
    /// of this machine at once.
    pub fn has_proxy_header(&self, local: SocketAddr) -> bool {
        self.proxy_protocol.iter().any(|listener| {
            let ip = listener.ip();
            listener.port() == local.port()
                && (ip.is_unspecified() || ip.to_canonical() == local.ip().to_canonical())
        })
    }
}
