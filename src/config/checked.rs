//! The checked configuration.

use super::plugged::Plugged;
use super::server::Server;
use super::variables::UsedVariable;
use crate::certs::{Held, TlsSettings};
use crate::plugin::{Background, Probe, Scaler};
use crate::service::spec::Spec;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// A checked configuration. The program may rely on every value in it.
pub struct Config {
    pub listen: Vec<SocketAddr>,
    /// TLS of the edge; `None`: off.
    pub tls: Option<TlsConfig>,
    /// Address of the admin listener; `None`: off.
    pub admin: Option<SocketAddr>,
    /// Names of the admin listener, beside addresses and names of one label.
    pub admin_hosts: Vec<String>,
    /// Name that tells the containers of several Tidegates on one host apart.
    pub instance: String,
    /// Folder of the lock, `admin.sock` and the admin token.
    pub state_dir: PathBuf,
    pub server: Server,
    /// Services in the order of the file.
    pub services: Vec<ServiceConfig>,
    /// Plugins for every service, in the order in which they run.
    pub plugins: Vec<Arc<Plugged>>,
    /// Tasks of newly installed plugins, which are not running yet.
    pub background: Vec<(Arc<Plugged>, Background)>,
    /// Variables that the file refers to.
    pub variables: Vec<UsedVariable>,
}

impl Config {
    /// Whether any service needs the container engine.
    pub fn has_containers(&self) -> bool {
        let mut services = self.services.iter();
        services.any(|service| service.spec.template().is_some())
    }

    /// Takes the values from `running` that need a restart, so that the next comparison still lists
    /// them.
    pub fn keep_what_needs_a_restart(&mut self, running: &Config) {
        self.listen.clone_from(&running.listen);
        match (&mut self.tls, &running.tls) {
            (Some(new), Some(running)) => {
                new.settings.listen.clone_from(&running.settings.listen);
            }
            // Listeners come and go with a restart, and TLS with its listeners.
            (new, running) => new.clone_from(running),
        }
        self.admin = running.admin;
        self.admin_hosts.clone_from(&running.admin_hosts);
        self.instance.clone_from(&running.instance);
        self.state_dir.clone_from(&running.state_dir);
        self.server.threads = running.server.threads;
    }

    /// Listeners that speak TLS.
    pub fn tls_listen(&self) -> &[SocketAddr] {
        let tls = self.tls.as_ref();
        tls.map_or(&[], |tls| &tls.settings.listen)
    }

    /// All plugins, whatever they are used for.
    pub fn plugged(&self) -> impl Iterator<Item = &Arc<Plugged>> {
        let of_services = self.services.iter().flat_map(|service| {
            let probe = std::iter::once(&service.probe_plugin);
            let scaler = service.scaler_plugins.iter();
            service.plugins.iter().chain(probe).chain(scaler)
        });
        self.plugins.iter().chain(of_services)
    }
}

/// TLS of the edge, and the user's own certificates.
#[derive(Clone)]
pub struct TlsConfig {
    pub settings: TlsSettings,
    /// Certificates of `settings.certificates`, in the same order.
    pub held: Vec<Arc<Held>>,
}

pub struct ServiceConfig {
    pub spec: Arc<Spec>,
    pub probe: Arc<dyn Probe>,
    /// Plugin of `probe`.
    pub probe_plugin: Arc<Plugged>,
    /// `None` for fixed addresses, which are not scaled.
    pub scaler: Option<Arc<dyn Scaler>>,
    /// Plugins of `scaler`, one for each policy.
    pub scaler_plugins: Vec<Arc<Plugged>>,
    /// Plugins of this service alone, which run after those for every service.
    pub plugins: Vec<Arc<Plugged>>,
}
