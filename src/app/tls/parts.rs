//! The parts of TLS that live as long as the process.

use super::metrics::TlsMetrics;
use super::own_files::OwnFiles;
use crate::app::certificates::CertificateReaders;
use crate::app::upgrade::ticket::HandedTicketKey;
use crate::certs::{CertName, CertificateWriter};
use crate::config::Config;
use crate::proxy::tls::{TicketKeys, TlsPolicies, TlsShared};
use std::sync::Arc;

/// TLS of this process.
pub struct Tls {
    pub shared: TlsShared,
    pub own_files: OwnFiles,
    pub metrics: TlsMetrics,
}

impl Tls {
    /// `handed`: keys of session tickets of the previous process.
    pub fn new(
        readers: &CertificateReaders,
        files: CertificateWriter,
        handed: &[HandedTicketKey],
    ) -> Tls {
        let handed = handed.iter().filter_map(HandedTicketKey::key).collect();
        Tls {
            own_files: OwnFiles::new(files),
            metrics: TlsMetrics::new(readers.table.clone()),
            shared: TlsShared {
                certificates: readers.table.clone(),
                challenges: readers.challenges.clone(),
                awaited: readers.awaited.clone(),
                tickets: Arc::new(TicketKeys::new(handed)),
            },
        }
    }

    /// Keys of session tickets, for the next process.
    pub fn handed_tickets(&self) -> Vec<HandedTicketKey> {
        let secrets = self.shared.tickets.secrets().into_iter();
        secrets.map(HandedTicketKey::from).collect()
    }

    /// Policies of a configuration; `None`: it has no TLS.
    pub fn policies(&self, config: &Config) -> Result<Option<Arc<TlsPolicies>>, String> {
        let Some(tls) = &config.tls else {
            return Ok(None);
        };
        let policies = TlsPolicies::new(&tls.settings, self.shared.clone());
        let policies = policies.map_err(|error| format!("cannot set TLS up: {error}"))?;
        Ok(Some(Arc::new(policies)))
    }

    /// Serves the certificates of a configuration, and watches their files.
    pub fn use_files(&self, config: &Config) {
        self.own_files.replace(config.tls.as_ref());
        self.metrics.name_hosts(hosts(config));
    }
}

/// Names in the configuration that certificates are for.
fn hosts(config: &Config) -> Vec<CertName> {
    let Some(tls) = &config.tls else {
        return Vec::new();
    };
    let services = config.services.iter();
    let routes = services.flat_map(|service| &service.spec.routes);
    let of_routes = routes.filter_map(|route| route.host.as_ref()?.parse().ok());
    let of_files = tls.held.iter().flat_map(|held| held.names.iter().cloned());
    let further = tls.settings.acme.hosts.iter().cloned();
    let mut hosts: Vec<CertName> = of_routes.chain(of_files).chain(further).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}
