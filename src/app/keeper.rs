//! The state of the running process.

use super::doors::Doors;
use super::observers::Observers;
use super::options::Options;
use super::supervisor::Supervisor;
use super::tasks::Tasks;
use super::tls::parts::Tls;
use super::unix_socket::Socket;
use super::upgrade::holdings::Holdings;
use crate::acme::CertificateHandle;
use crate::config::Config;
use crate::control::Handle;
use crate::plugin::Registry;
use crate::proxy::{Connected, InFlight, Settings};
use crate::service::store::Reader;
use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

/// Everything that the process holds while it runs. Its methods are in `reload`, `orders`, `leaving`
/// and `upgrade`.
pub struct Keeper {
    pub config: Config,
    pub options: Options,
    pub registry: Registry,
    pub reader: Reader,
    pub handle: Handle,
    pub certificates: CertificateHandle,
    pub supervisor: Supervisor,
    pub settings: Arc<ArcSwap<Settings>>,
    pub observers: Observers,
    pub in_flight: InFlight,
    pub connected: Connected,
    pub tasks: Tasks,
    pub tls: Tls,
    pub holdings: Holdings,
    pub doors: watch::Sender<Doors>,
    /// Resolves once connections are accepted.
    pub accepting: oneshot::Receiver<()>,
    /// Sockets of the admin API and for successors.
    pub sockets: [Socket; 2],
}

impl Keeper {
    /// Feeds the supervisor's watchdog while the control loop answers.
    pub fn watched(&self) -> AbortHandle {
        let handle = self.handle.clone();
        let watched = self
            .supervisor
            .clone()
            .watched(async move || handle.answers().await);
        tokio::spawn(watched).abort_handle()
    }
}
