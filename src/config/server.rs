//! The settings of the proxy itself, whatever the service.

use crate::service::network::Network;
use std::net::SocketAddr;
use std::time::Duration;

/// How the proxy itself runs, whatever the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub threads: usize,
    /// How long a whole head may take to arrive.
    pub header_timeout: Duration,
    /// How long a client's connection may stay idle between requests.
    pub keepalive_timeout: Duration,
    /// The longest silence while a request is read.
    pub client_read_timeout: Duration,
    /// The longest time that a client may take nothing of an answer.
    pub client_write_timeout: Duration,
    /// How long requests may still take once the process was told to leave.
    pub drain_timeout: Duration,
    pub max_header_bytes: u64,
    pub limits: ClientLimits,
    /// Proxies whose word on the client counts.
    pub trusted_proxies: Vec<Network>,
    /// Where connections of trusted proxies begin with a PROXY header.
    pub proxy_protocol: Vec<SocketAddr>,
    /// How many containers may be starting at once, over all services.
    pub max_concurrent_starts: u32,
}

/// What clients may have of the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// `None`: as many as there is memory for.
    pub connections: Option<u32>,
    /// `None`: half of all.
    pub connections_per_address: Option<u32>,
    /// Header lines of a request.
    pub headers: usize,
    pub target_bytes: usize,
    /// Bytes a second that a client must send of a body and take of an answer, all in all; 0 is
    /// no such limit.
    pub min_rate_bytes: u64,
}
