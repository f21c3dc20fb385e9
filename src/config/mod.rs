//! From what the user typed to what the program may rely on.
//!
//! `raw` is the file's shape, `check` turns it into a [`Config`] and collects every problem on
//! the way, `error` shows them, `diff` compares two configurations for a reload.

use crate::plan::scaler::Scaler;
use crate::plugin::{Background, Filter, Observer, Probe};
use crate::service::spec::Spec;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A checked configuration.
pub struct Config {
    pub listen: Vec<SocketAddr>,
    /// The admin listener; `None` when it is switched off.
    pub admin: Option<SocketAddr>,
    /// Tells the containers of several Tidegates on one host apart.
    pub instance: String,
    /// Holds the lock, `admin.sock` and the admin token.
    pub state_dir: PathBuf,
    pub server: Server,
    /// In the file's order.
    pub services: Vec<Service>,
    /// For every service, in the order in which they run.
    pub plugins: Vec<Arc<Plugged>>,
    /// The tasks of plugins that were installed just now and are not running yet.
    pub background: Vec<(Arc<Plugged>, Background)>,
}

/// How the proxy itself runs, whatever the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub threads: usize,
    /// How long a client's connection may stay idle between requests.
    pub keepalive_timeout: Duration,
    /// The longest silence while a request is read.
    pub client_read_timeout: Duration,
    /// The longest time that a client may take nothing of an answer.
    pub client_write_timeout: Duration,
    pub max_header_bytes: u64,
    /// How many containers may be starting at once, over all services.
    pub max_concurrent_starts: u32,
}

pub struct Service {
    pub spec: Arc<Spec>,
    pub probe: Arc<dyn Probe>,
    /// `None` for fixed addresses, which nobody scales.
    pub scaler: Option<Arc<dyn Scaler>>,
    /// For this service alone, after those for every service.
    pub plugins: Vec<Arc<Plugged>>,
}

/// An installed plugin. A reload keeps it when neither its name nor its values changed, and with
/// it whatever it has counted.
pub struct Plugged {
    pub name: String,
    pub values: serde_yaml::Value,
    pub filters: Vec<Arc<dyn Filter>>,
    pub observers: Vec<Arc<dyn Observer>>,
    pub metrics: Vec<prometheus::Registry>,
}
