//! Settings that an edge is started with.

use crate::docker::Docker;
use crate::events::Over;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Settings of one phase.
pub struct Setup {
    /// The program under test.
    pub tidegate: PathBuf,
    pub port: u16,
    pub replicas: u32,
    pub docker: Docker,
    /// The socket on which the edge meets the engine, when it is another one.
    pub wire: Option<PathBuf>,
    /// Whether its log is a pipe that nobody reads.
    pub stalls: bool,
    /// Whether somebody else holds the socket on which it listens.
    pub held: bool,
    /// The server behind `tunnels::PATH`, if there is one.
    pub echo: Option<SocketAddr>,
    pub logs_requests: bool,
    pub over: Over,
}
