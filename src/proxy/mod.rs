//! The request path: the long way through Pingora's hooks (`hooks.rs`), the short way for plain
//! requests (`lean/`) and tunnels (`tunnel/`), which all decide by the same functions
//! (`decide.rs`).
//!
//! It reads snapshots and never meets the engine or the control loop: a dead Docker daemon cannot
//! stop traffic.

mod answers;
pub mod balance;
mod blame;
mod caller;
mod connection;
mod context;
mod decide;
mod dial;
mod failure;
mod headers;
mod hold;
mod hooks;
pub mod hygiene;
mod lean;
mod passive;
mod retry;
pub mod route;
mod tunnel;
mod waiting;

pub use connection::{Bounds, Connected, Front};
pub use context::{Context, InFlight};
pub use hygiene::Limits;

use crate::plugin::{Filter, Observer};
use crate::service::event::Event;
use crate::service::network::Network;
use crate::service::store::Reader;
use arc_swap::ArcSwap;
use pingora::connectors::TransportConnector;
use route::Routes;
use std::sync::Arc;
use std::time::Duration;

/// What is left of a refused upload is read this long, so that the client sees the answer and
/// not a reset.
const REFUSED_BODY_DRAIN: Duration = Duration::from_secs(2);

/// Test switch, absent from release builds: Pingora carries every request, so that tests can
/// compare its way with the plain one.
const PINGORA_ONLY: &str = "TIDEGATE_TEST_PINGORA_ONLY";

/// Filters and observers, in the order in which they run.
#[derive(Clone, Default)]
pub struct Chain {
    pub filters: Vec<Arc<dyn Filter>>,
    pub observers: Vec<Arc<dyn Observer>>,
}

/// What a reload swaps in place.
pub struct Settings {
    pub routes: Routes,
    /// For requests that no route claims.
    pub chain: Chain,
    pub keepalive_timeout: Duration,
    pub client_read_timeout: Duration,
    pub client_write_timeout: Duration,
    pub limits: Limits,
    pub bounds: Bounds,
    /// Proxies whose word on the client counts.
    pub trusted_proxies: Vec<Network>,
}

/// Tells everybody who wants to know what happened to a replica.
pub type Tell = Arc<dyn Fn(&Event) + Send + Sync>;

#[derive(Clone)]
pub struct Edge {
    reader: Reader,
    settings: Arc<ArcSwap<Settings>>,
    in_flight: InFlight,
    tell: Tell,
    /// Connects tunnels; Pingora keeps the one for everything else to itself.
    connector: Arc<TransportConnector>,
    /// Plain requests go through Pingora, too.
    pingora_only: bool,
}

impl Edge {
    pub fn new(
        reader: Reader,
        settings: Arc<ArcSwap<Settings>>,
        in_flight: InFlight,
        tell: Tell,
    ) -> Edge {
        Edge {
            reader,
            settings,
            in_flight,
            tell,
            connector: Arc::new(TransportConnector::new(None)),
            pingora_only: cfg!(debug_assertions) && std::env::var_os(PINGORA_ONLY).is_some(),
        }
    }
}
