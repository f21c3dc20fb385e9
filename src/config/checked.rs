//! A checked configuration: the program may rely on every value in it.

use super::plugged::Plugged;
use super::server::Server;
use crate::plugin::{Background, Probe, Scaler};
use crate::service::spec::Spec;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// A checked configuration.
pub struct Config {
    pub listen: Vec<SocketAddr>,
    /// The admin listener; `None` when it is switched off.
    pub admin: Option<SocketAddr>,
    /// Names by which it may be asked, beside addresses and those of one label.
    pub admin_hosts: Vec<String>,
    /// Tells the containers of several Tidegates on one host apart.
    pub instance: String,
    /// Holds the lock, `admin.sock` and the admin token.
    pub state_dir: PathBuf,
    pub server: Server,
    /// In the file's order.
    pub services: Vec<ServiceConfig>,
    /// For every service, in the order in which they run.
    pub plugins: Vec<Arc<Plugged>>,
    /// The tasks of plugins that were installed just now and are not running yet.
    pub background: Vec<(Arc<Plugged>, Background)>,
}

impl Config {
    /// Whether any service needs the container engine.
    pub fn has_containers(&self) -> bool {
        let mut services = self.services.iter();
        services.any(|service| service.spec.template().is_some())
    }

    /// Takes over what `running` cannot change, so that a later comparison still tells of it.
    pub fn keep_what_needs_a_restart(&mut self, running: &Config) {
        self.listen.clone_from(&running.listen);
        self.admin = running.admin;
        self.admin_hosts.clone_from(&running.admin_hosts);
        self.instance.clone_from(&running.instance);
        self.state_dir.clone_from(&running.state_dir);
        self.server.threads = running.server.threads;
    }

    /// Every plugin, whatever it is used for.
    pub fn plugged(&self) -> impl Iterator<Item = &Arc<Plugged>> {
        let of_services = self.services.iter().flat_map(|service| {
            let probe = std::iter::once(&service.probe_plugin);
            let scaler = service.scaler_plugins.iter();
            service.plugins.iter().chain(probe).chain(scaler)
        });
        self.plugins.iter().chain(of_services)
    }
}

pub struct ServiceConfig {
    pub spec: Arc<Spec>,
    pub probe: Arc<dyn Probe>,
    /// What `probe` is a part of.
    pub probe_plugin: Arc<Plugged>,
    /// `None` for fixed addresses, which nobody scales.
    pub scaler: Option<Arc<dyn Scaler>>,
    /// What `scaler` is a part of; of several, each.
    pub scaler_plugins: Vec<Arc<Plugged>>,
    /// For this service alone, after those for every service.
    pub plugins: Vec<Arc<Plugged>>,
}
