//! The part of the configuration that requests read; a reload swaps it in place.

use super::chain::Chain;
use super::door::Bounds;
use super::hygiene::Limits;
use super::route::Routes;
use super::tls::TlsPolicies;
use crate::service::network::Network;
use std::sync::Arc;
use std::time::Duration;

/// Settings that a reload swaps in place.
pub struct Settings {
    pub routes: Routes,
    /// For requests that no route claims.
    pub chain: Chain,
    pub keepalive_timeout: Duration,
    pub client_read_timeout: Duration,
    pub client_write_timeout: Duration,
    pub limits: Limits,
    pub bounds: Bounds,
    /// `None`: no listener speaks TLS.
    pub tls: Option<Arc<TlsPolicies>>,
    /// Proxies whose word on the client counts.
    pub trusted_proxies: Vec<Network>,
}

#[cfg(test)]
impl Settings {
    /// No routes, one filter chain, and a second for everything that may take time.
    pub fn with(chain: Chain) -> Settings {
        const SECOND: Duration = Duration::from_secs(1);
        Settings {
            routes: Routes::default(),
            chain,
            keepalive_timeout: SECOND,
            client_read_timeout: SECOND,
            client_write_timeout: SECOND,
            limits: Limits {
                header_bytes: 1000,
                headers: 10,
                target_bytes: 100,
            },
            bounds: Bounds {
                connections: 10,
                connections_per_address: 10,
                header_timeout: SECOND,
                min_rate_bytes: 0,
                proxy_protocol: Vec::new(),
            },
            tls: None,
            trusted_proxies: Vec::new(),
        }
    }
}
