//! The request path as one value: what every request reads, shared by all connections.

use super::request::in_flight::InFlight;
use super::settings::Settings;
use crate::service::event::Event;
use crate::service::store::Reader;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// Test switch, absent from release builds: Pingora carries every request, so that tests can
/// compare its way with the plain one.
const PINGORA_ONLY: &str = "TIDEGATE_TEST_PINGORA_ONLY";

/// Tells everybody who wants to know what happened to a replica.
pub type Tell = Arc<dyn Fn(&Event) + Send + Sync>;

#[derive(Clone)]
pub struct Edge {
    pub(super) reader: Reader,
    pub(super) settings: Arc<ArcSwap<Settings>>,
    pub(super) in_flight: InFlight,
    pub(super) tell: Tell,
    /// Plain requests go through Pingora, too.
    pub(super) pingora_only: bool,
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
            pingora_only: cfg!(debug_assertions) && std::env::var_os(PINGORA_ONLY).is_some(),
        }
    }
}
