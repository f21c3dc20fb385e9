//! Health checks.

use async_trait::async_trait;
use std::net::SocketAddr;

/// A health check: asks one replica once.
#[async_trait]
pub trait Probe: Send + Sync {
    /// `Err` says in a few words what was wrong, as in "answered 500". The caller bounds the time.
    async fn check(&self, address: SocketAddr) -> Result<(), String>;
}
