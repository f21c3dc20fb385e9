//! The settings of the proxy itself, whatever the service.

use crate::service::network::Network;
use std::net::SocketAddr;
use std::time::Duration;

/// Settings of the proxy itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub threads: usize,
    /// Timeout of a whole head.
    pub header_timeout: Duration,
    /// Timeout of an idle client's connection.
    pub keepalive_timeout: Duration,
    /// Longest silence while a request is read.
    pub client_read_timeout: Duration,
    /// Longest time for which a client may take nothing of an answer.
    pub client_write_timeout: Duration,
    /// Time for requests to finish once the process drains.
    pub drain_timeout: Duration,
    pub max_header_bytes: u64,
    pub limits: ClientLimits,
    /// Proxies whose headers about the client are trusted.
    pub trusted_proxies: Vec<Network>,
    /// Listeners on which connections begin with a PROXY header.
    pub proxy_protocol: Vec<SocketAddr>,
    /// Containers that may be starting at once, over all services.
    pub max_concurrent_starts: u32,
}

/// Limits on clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Open connections; `None`: bounded by memory alone.
    pub connections: Option<u32>,
    /// Open connections of one address; `None`: half of all.
    pub connections_per_address: Option<u32>,
    /// Header lines of a request.
    pub headers: usize,
    pub target_bytes: usize,
    /// Least average rate of a body or an answer, in bytes a second; 0: no limit.
    pub min_rate_bytes: u64,
}
