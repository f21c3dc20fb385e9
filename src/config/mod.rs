//! From what the user typed to what the program may rely on.
//!
//! `source` finds the text and what beats it, `yaml` parses it, `places` knows the lines, `raw`
//! is the file's shape, `check` turns it into a [`Config`] and collects every problem on the way,
//! `error` shows them, `diff` compares two configurations for a reload.

mod check;
mod diff;
mod error;
mod places;
mod raw;
mod schema;
mod shape;
mod source;
mod yaml;

#[cfg(test)]
mod tests;

pub use diff::{Change, Diff, diff};
pub use error::{Problem, Problems};
pub use schema::schema;
pub use source::{Env, Flags, Overrides, Text, find, name_of};

use crate::plugin::Scaler;
use crate::plugin::{Background, Filter, Observer, Probe, Registry};
use crate::service::network::Network;
use crate::service::spec::Spec;
use crate::service::store::Reader;
use error::Report;
use places::Places;
use serde_yaml::{Mapping, Value};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
    pub services: Vec<Service>,
    /// For every service, in the order in which they run.
    pub plugins: Vec<Arc<Plugged>>,
    /// The tasks of plugins that were installed just now and are not running yet.
    pub background: Vec<(Arc<Plugged>, Background)>,
}

/// Checks `source`, with `overrides` written over it.
///
/// Plugins of `previous` that did not change are kept, with whatever they have counted.
pub fn load(
    source: &Text,
    overrides: &Overrides,
    registry: &Registry,
    reader: Reader,
    previous: Option<&Config>,
) -> Result<Config, Problems> {
    let mut tree = match yaml::parse(&source.content) {
        Ok(tree) => tree,
        Err(fault) => {
            let report = Report::new(&source.name, Places::default());
            report.fault(fault);
            return report.finish(None);
        }
    };
    if tree.value.is_null() {
        tree.value = Value::Mapping(Mapping::new());
    }
    let misplaced = overrides.apply(&mut tree);
    let report = Report::new(&source.name, tree.places);
    for fault in tree.faults {
        report.fault(fault);
    }
    for misplaced in misplaced {
        misplaced.report(&report);
    }
    let at = report.root();
    if !tree.value.is_mapping() {
        at.error_hint(
            format!("expected a mapping, found {}", shape::what(&tree.value)),
            "begin with `services:`",
        );
        return report.finish(None);
    }
    let config = check::check(&at, tree.value, &overrides.env, registry, reader, previous);
    report.finish(config)
}

/// Whether this can be the name of an image; if not, what to write instead.
pub fn check_image(image: &str) -> Result<(), String> {
    let typed = raw::Scalar::Text(image.to_owned());
    match check::image_name(&typed) {
        Ok(_) => Ok(()),
        Err(fault) => Err(match fault.hint {
            Some(hint) => format!("{}\n  hint: {hint}", fault.message),
            None => fault.message,
        }),
    }
}

/// The state folder alone, whatever else is wrong with `source`: whoever wants to tell a running
/// Tidegate to reload a bad file has to find it.
pub fn state_dir(source: &Text, env: &Env) -> PathBuf {
    let named = env.get("TIDEGATE_STATE_DIR");
    let named = named.or_else(|| typed(source, "state_dir"));
    let named = named.map(PathBuf::from).filter(|path| path.is_absolute());
    named
        .or_else(|| check::default_state_dir(check::is_root(), env))
        .unwrap_or_else(|| PathBuf::from("/var/lib/tidegate"))
}

/// Whose containers `source` speaks of, even when it is otherwise wrong.
pub fn instance(source: &Text, env: &Env) -> String {
    let named = env.get("TIDEGATE_INSTANCE");
    let named = named.or_else(|| typed(source, "instance"));
    named.unwrap_or_else(|| check::DEFAULT_INSTANCE.to_owned())
}

fn typed(source: &Text, key: &str) -> Option<String> {
    let tree = yaml::parse(&source.content).ok()?;
    Some(tree.value.get(key)?.as_str()?.to_owned())
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

/// How the proxy itself runs, whatever the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub threads: usize,
    /// How long a whole head may take to arrive.
    pub header_timeout: Duration,
    /// How long a client's connection may stay idle between requests.
    pub keepalive_timeout: Duration,
    /// The longest silence while a request is read.
    pub client_read_timeout: Duration,
    /// The longest time that a client may take nothing of an answer.
    pub client_write_timeout: Duration,
    /// How long requests may still take once the process was told to leave.
    pub drain_timeout: Duration,
    pub max_header_bytes: u64,
    pub limits: Limits,
    /// Proxies whose word on the client counts.
    pub trusted_proxies: Vec<Network>,
    /// Where connections of trusted proxies begin with a PROXY header.
    pub proxy_protocol: Vec<SocketAddr>,
    /// How many containers may be starting at once, over all services.
    pub max_concurrent_starts: u32,
}

/// What clients may have of the edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `None`: as many as there is memory for.
    pub connections: Option<u32>,
    /// `None`: half of all.
    pub connections_per_address: Option<u32>,
    /// Header lines of a request.
    pub headers: usize,
    pub target_bytes: usize,
    /// Bytes a second that a client must send of a body and take of an answer, all in all; 0 is
    /// no such limit.
    pub min_rate_bytes: u64,
}

pub struct Service {
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

/// An installed plugin. A reload keeps it when neither its name nor its values changed, and with
/// it whatever it has counted.
pub struct Plugged {
    pub name: String,
    pub values: Value,
    pub filters: Vec<Arc<dyn Filter>>,
    pub observers: Vec<Arc<dyn Observer>>,
    pub probe: Option<Arc<dyn Probe>>,
    pub scaler: Option<Arc<dyn Scaler>>,
    pub metrics: Vec<prometheus::Registry>,
    /// Handed over to the plugin of this name in this place, also when its values change.
    pub states: http::Extensions,
}
