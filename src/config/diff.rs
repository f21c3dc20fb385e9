//! Difference of two configurations, for a reload.

use super::checked::{Config, ServiceConfig, TlsConfig};
use super::plugged::Plugged;
use super::server::Server;
use crate::certs::TlsSettings;
use crate::service::spec::changed_keys;
use crate::service::spec::{ServiceName, Source, Template};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The difference between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    pub added: Vec<ServiceName>,
    pub removed: Vec<ServiceName>,
    /// Changes of services that stay, in the new order.
    pub changed: Vec<(ServiceName, Vec<Change>)>,
    /// Whether the plugins for every service changed.
    pub plugins: bool,
    /// Whether timeouts or limits for every service changed.
    pub limits: bool,
    /// Whether certificates, or rules of TLS other than its listeners, changed.
    pub tls: bool,
    /// Keys whose new values need a restart.
    pub needs_restart: Vec<&'static str>,
}

/// A change of a service, by its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A key of the template: every replica is replaced.
    Template(&'static str),
    /// The port range: replicas outside of the new one move.
    Ports,
    Addresses,
    Routes,
    Scale,
    Health,
    /// Any of the many keys about forwarding.
    Forward,
    /// The grace period of a stop.
    Stop,
    Plugins,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Change::Template(key) => key,
            Change::Ports => "first_port",
            Change::Addresses => "addresses",
            Change::Routes => "routes",
            Change::Scale => "scale",
            Change::Health => "healthcheck",
            Change::Forward => "requests' limits and retries",
            Change::Stop => "stop_grace_period",
            Change::Plugins => "plugins",
        })
    }
}

pub fn diff(old: &Config, new: &Config) -> Diff {
    let mut diff = Diff {
        plugins: !all_same(&old.plugins, &new.plugins),
        limits: limits(old) != limits(new),
        tls: tls_differs(old, new),
        needs_restart: needs_restart(old, new),
        ..Diff::default()
    };
    for service in &new.services {
        match same_kind(old, service) {
            None => diff.added.push(service.spec.name.clone()),
            Some(before) => {
                let changes = changes(before, service);
                if !changes.is_empty() {
                    diff.changed.push((service.spec.name.clone(), changes));
                }
            }
        }
    }
    let gone = |service: &&ServiceConfig| same_kind(new, service).is_none();
    let gone = old.services.iter().filter(gone);
    diff.removed = gone.map(|service| service.spec.name.clone()).collect();
    diff
}

/// The service of the same name and kind: one that goes from an image to addresses is another.
fn same_kind<'c>(config: &'c Config, service: &ServiceConfig) -> Option<&'c ServiceConfig> {
    config.services.iter().find(|other| {
        other.spec.name == service.spec.name
            && other.spec.template().is_some() == service.spec.template().is_some()
    })
}

fn limits(config: &Config) -> Server {
    Server {
        threads: 0,
        ..config.server.clone()
    }
}

/// Whether a reload changes TLS. Its listeners, and TLS as a whole, need a restart.
fn tls_differs(old: &Config, new: &Config) -> bool {
    let (Some(old), Some(new)) = (&old.tls, &new.tls) else {
        return false;
    };
    let without_listeners = |settings: &TlsSettings| TlsSettings {
        listen: Vec::new(),
        ..settings.clone()
    };
    let fingerprints = |tls: &TlsConfig| -> Vec<_> {
        let held = tls.held.iter();
        held.map(|held| held.fingerprint).collect()
    };
    without_listeners(&old.settings) != without_listeners(&new.settings)
        || fingerprints(old) != fingerprints(new)
}

fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let differs = [
        ("listen", old.listen != new.listen),
        ("tls.listen", tls_listen(old) != tls_listen(new)),
        (
            "admin",
            old.admin != new.admin || old.admin_hosts != new.admin_hosts,
        ),
        ("instance", old.instance != new.instance),
        ("state_dir", old.state_dir != new.state_dir),
        ("threads", old.server.threads != new.server.threads),
    ];
    chosen(&differs)
}

fn tls_listen(config: &Config) -> Option<&[SocketAddr]> {
    let tls = config.tls.as_ref();
    tls.map(|tls| tls.settings.listen.as_slice())
}

fn changes(old: &ServiceConfig, new: &ServiceConfig) -> Vec<Change> {
    let (before, after) = (&old.spec, &new.spec);
    let (template, [ports, addresses]) = match (&before.source, &after.source) {
        (Source::Container(before), Source::Container(after)) => (
            template_changes(before, after),
            [before.first_port != after.first_port, false],
        ),
        (Source::Addresses(before), Source::Addresses(after)) => {
            (Vec::new(), [false, before != after])
        }
        (Source::Container(_), Source::Addresses(_))
        | (Source::Addresses(_), Source::Container(_)) => {
            (vec![Change::Template("image")], [true, true])
        }
    };
    // The bounds of fixed addresses are only their number.
    let bounds = after.template().is_some() && before.bounds != after.bounds;
    let rest = chosen(&[
        (Change::Ports, ports),
        (Change::Addresses, addresses),
        (Change::Routes, before.routes != after.routes),
        (
            Change::Scale,
            bounds || !all_same(&old.scaler_plugins, &new.scaler_plugins),
        ),
        (
            Change::Health,
            before.health != after.health || !same(&old.probe_plugin, &new.probe_plugin),
        ),
        (Change::Forward, before.forward != after.forward),
        (
            Change::Stop,
            before.stop_grace_period != after.stop_grace_period,
        ),
        (Change::Plugins, !all_same(&old.plugins, &new.plugins)),
    ]);
    [template, rest].concat()
}

fn template_changes(before: &Template, after: &Template) -> Vec<Change> {
    let keys = changed_keys(before, after).into_iter();
    keys.map(Change::Template).collect()
}

fn chosen<T: Copy>(flags: &[(T, bool)]) -> Vec<T> {
    let chosen = flags.iter().filter(|(_, is_chosen)| *is_chosen);
    chosen.map(|(value, _)| *value).collect()
}

fn all_same(old: &[Arc<Plugged>], new: &[Arc<Plugged>]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(old, new))
}

fn same(old: &Arc<Plugged>, new: &Arc<Plugged>) -> bool {
    Arc::ptr_eq(old, new) || (old.name == new.name && old.values == new.values)
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        *self == Diff::default()
    }
}

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing changed");
        }
        let changed = self.changed.iter().map(|(name, changes)| {
            let changes: Vec<String> = changes.iter().map(Change::to_string).collect();
            format!("{name} ({})", changes.join(", "))
        });
        let names = |names: &[ServiceName]| names.iter().map(ServiceName::to_string).collect();
        let mut parts: Vec<String> = Vec::new();
        parts.extend(listed("added", names(&self.added)));
        parts.extend(listed("removed", names(&self.removed)));
        parts.extend(listed("changed", changed.collect()));
        if self.plugins {
            parts.push("plugins changed".to_owned());
        }
        if self.limits {
            parts.push("timeouts or limits changed".to_owned());
        }
        if self.tls {
            parts.push("certificates or rules of TLS changed".to_owned());
        }
        if !self.needs_restart.is_empty() {
            let keys = self.needs_restart.join(", ");
            parts.push(format!("only a restart changes {keys}"));
        }
        f.write_str(&parts.join("; "))
    }
}

/// A sentence such as "2 services changed: acts (template), legacy (routes)"; `None` without names.
fn listed(what: &str, names: Vec<String>) -> Option<String> {
    let services = match names.len() {
        0 => return None,
        1 => "1 service".to_owned(),
        count => format!("{count} services"),
    };
    Some(format!("{services} {what}: {}", names.join(", ")))
}
