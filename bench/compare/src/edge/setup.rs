//! Edges and their settings.

use clap::ValueEnum;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Limit of clients' connections of each edge.
pub const CONNECTIONS_MAX: usize = 12_000;
/// Limit of idle connections to replicas of each edge.
pub const POOL_MAX: usize = 2048;
/// An edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Which {
    Tidegate,
    Haproxy,
    Nginx,
    Caddy,
}

impl Which {
    pub const ALL: [Which; 4] = [Which::Tidegate, Which::Haproxy, Which::Nginx, Which::Caddy];

    pub fn name(self) -> &'static str {
        match self {
            Which::Tidegate => "tidegate",
            Which::Haproxy => "haproxy",
            Which::Nginx => "nginx",
            Which::Caddy => "caddy",
        }
    }

    /// As in `haproxy 2.6.12`.
    pub fn version(self, tidegate: &Path) -> Result<String, String> {
        let version = match self {
            Which::Tidegate => kit::peers::version(&tidegate.display().to_string(), "--version"),
            Which::Haproxy | Which::Nginx => kit::peers::version(self.name(), "-v"),
            Which::Caddy => kit::peers::version(self.name(), "version"),
        };
        Ok(format!("{} {}", self.name(), version?))
    }
}

/// Settings of one edge.
#[derive(Clone)]
pub struct Setup {
    pub which: Which,
    /// Tidegate's binary.
    pub tidegate: PathBuf,
    pub replicas: Vec<SocketAddr>,
    /// Tidegate's services, in place of one in front of `replicas`.
    pub services: Option<String>,
    /// Path of the health check.
    pub health: &'static str,
    pub logs_requests: bool,
    /// Certificate of a listener that speaks TLS; `None`: there is none.
    pub certificate: Option<Certificate>,
    /// Command that runs it, as `taskset` or `valgrind` with its arguments.
    pub under: Vec<String>,
    pub starts_within: Duration,
}

/// PEM of a certificate, and of its key.
#[derive(Clone)]
pub struct Certificate {
    pub certificate: String,
    pub key: String,
}

/// Addresses and folder of one edge.
pub struct Place<'a> {
    pub address: SocketAddr,
    pub admin: SocketAddr,
    /// Where HTTP/2 is spoken without a question, by edges that want a listener for it.
    pub streams: SocketAddr,
    /// Where TLS is spoken, if there is a certificate.
    pub secure: SocketAddr,
    pub folder: &'a Path,
}

impl Place<'_> {
    pub fn access_log(&self) -> PathBuf {
        self.folder.join("access.log")
    }

    /// Writes `edge.pem`, `edge.key`, and `both.pem` for the edges that want one file.
    pub fn write_certificate(&self, pair: &Certificate) -> Result<(), String> {
        self.write("edge.pem", pair.certificate.clone())?;
        self.write("edge.key", pair.key.clone())?;
        self.write("both.pem", format!("{}{}", pair.certificate, pair.key))?;
        Ok(())
    }

    pub fn write(&self, name: &str, text: String) -> Result<PathBuf, String> {
        let file = self.folder.join(name);
        fs::write(&file, text).map_err(|why| format!("writing {}: {why}", file.display()))?;
        Ok(file)
    }
}
