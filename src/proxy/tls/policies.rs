//! TLS as configured: which certificate and which policy a client meets.

use super::policy_id::PolicyId;
use super::tickets::{TicketKeys, Ticketer};
use crate::certs::challenges::ACME_TLS_ALPN;
use crate::certs::crypto::provider;
use crate::certs::settings::{ClientAuth, ClientAuthMode, MinVersion, UnknownName};
use crate::certs::table::suitable;
use crate::certs::{Awaited, CertName, Certificates, Challenges, Held, TlsSettings};
use http::HeaderValue;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig, SignatureScheme, version};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Protocols that clients are offered, the best one first.
const PROTOCOLS: [&[u8]; 3] = [b"h2", b"http/1.1", b"http/1.0"];
/// Port of https, which URLs leave out.
const HTTPS_PORT: u16 = 443;

/// State that outlives reloads.
#[derive(Clone)]
pub struct TlsShared {
    pub certificates: Certificates,
    pub challenges: Challenges,
    pub awaited: Awaited,
    pub tickets: Arc<TicketKeys>,
}

/// TLS as configured. A reload makes a new one.
pub struct TlsPolicies {
    pub shared: TlsShared,
    pub redirect: bool,
    /// Behind the host in redirects: a colon and a port, or nothing.
    pub port: String,
    pub hsts: Option<HeaderValue>,
    unknown_name: UnknownName,
    anybody: Policy,
    /// Policies with hosts of their own.
    by_host: Vec<(Vec<CertName>, Policy)>,
    challenge: Arc<ServerConfig>,
}

/// A configuration of handshakes, without a certificate.
pub struct Policy {
    pub id: PolicyId,
    config: ServerConfig,
}

impl Policy {
    /// The configuration with `key`.
    pub fn with(&self, key: Arc<CertifiedKey>) -> Arc<ServerConfig> {
        let mut config = self.config.clone();
        config.cert_resolver = Arc::new(SingleCertAndKey::from(key));
        Arc::new(config)
    }
}

impl TlsPolicies {
    pub fn new(settings: &TlsSettings, shared: TlsShared) -> Result<TlsPolicies, rustls::Error> {
        let policy = |auth| policy(settings.min_version, auth, &shared.tickets);
        let is_for_all = |auth: &&ClientAuth| auth.hosts.is_empty();
        let anybody = policy(settings.client_auth.iter().find(is_for_all))?;
        let own = settings.client_auth.iter().filter(|auth| !is_for_all(auth));
        let by_host = own.map(|auth| Ok((auth.hosts.clone(), policy(Some(auth))?)));
        let by_host = by_host.collect::<Result<_, rustls::Error>>()?;
        let port = settings.listen.first().map(SocketAddr::port);
        let port = port.filter(|port| *port != HTTPS_PORT);
        let hsts = settings.hsts.as_ref();
        let hsts = hsts.and_then(|hsts| HeaderValue::from_str(&hsts.to_string()).ok());
        let mut challenge = config(MinVersion::Tls12, None)?;
        challenge.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
        Ok(TlsPolicies {
            redirect: settings.redirect,
            port: port.map_or_else(String::new, |port| format!(":{port}")),
            hsts,
            unknown_name: settings.unknown_name,
            anybody,
            by_host,
            challenge: Arc::new(challenge),
            shared,
        })
    }

    /// Policy for the clients of a host; `None` stands for a client that names none.
    pub fn policy(&self, host: Option<&CertName>) -> &Policy {
        let Some(host) = host.filter(|_| !self.by_host.is_empty()) else {
            return &self.anybody;
        };
        let all = self.by_host.iter();
        let fits = all.filter_map(|(names, policy)| {
            let best = names.iter().filter_map(|name| nearness(name, host)).max()?;
            Some((best, policy))
        });
        let nearest = fits.max_by_key(|(best, _)| *best);
        nearest.map_or(&self.anybody, |(_, policy)| policy)
    }

    /// Whether some host asks clients for certificates.
    pub fn asks_clients(&self) -> bool {
        self.anybody.id != PolicyId::ANYBODY || !self.by_host.is_empty()
    }

    /// Certificate for a client that names `name`, or that connected to `local` and names none.
    pub fn certificate(
        &self,
        name: Option<&str>,
        local: IpAddr,
        schemes: &[SignatureScheme],
    ) -> Option<Arc<Held>> {
        let table = self.shared.certificates.load();
        let list = match name {
            Some(name) => table.for_name(name),
            None => table.for_address(local),
        };
        suitable(list, schemes).cloned()
    }

    /// Certificate for a client whose name has none, if such clients are served.
    pub fn default_certificate(&self) -> Option<Arc<Held>> {
        match self.unknown_name {
            UnknownName::Refuse => None,
            UnknownName::Default => self.shared.certificates.load().first().cloned(),
        }
    }

    /// Configuration for an authority that checks a challenge for `name`.
    pub fn challenge(&self, name: &str) -> Option<Arc<ServerConfig>> {
        let key = self.shared.challenges.tls(name)?;
        let mut config = ServerConfig::clone(&self.challenge);
        config.cert_resolver = Arc::new(SingleCertAndKey::from(key));
        Some(Arc::new(config))
    }
}

/// How near a name of a policy is to `host`; `None`: it is for others. A wildcard stands for one or
/// more labels, as in routes: with fewer, a deeper name would lead around the policy.
fn nearness(name: &CertName, host: &CertName) -> Option<usize> {
    match (name, host) {
        _ if name == host => Some(usize::MAX),
        (CertName::Wildcard(parent), CertName::Dns(host)) => {
            let labels = host.strip_suffix(parent.as_str())?;
            labels.ends_with('.').then_some(parent.len())
        }
        _ => None,
    }
}

fn policy(
    min_version: MinVersion,
    auth: Option<&ClientAuth>,
    tickets: &Arc<TicketKeys>,
) -> Result<Policy, rustls::Error> {
    let id = auth.map_or(PolicyId::ANYBODY, PolicyId::of);
    let mut config = config(min_version, auth)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    config.ticketer = Arc::new(Ticketer {
        keys: Arc::clone(tickets),
        policy: id,
    });
    // The session of a client with a certificate must not be spliced into another one (RFC 7627).
    config.require_ems = auth.is_some();
    Ok(Policy { id, config })
}

/// Handshakes without tickets, and with no certificate of ours yet.
fn config(
    min_version: MinVersion,
    auth: Option<&ClientAuth>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[_] = match min_version {
        MinVersion::Tls12 => &[&version::TLS13, &version::TLS12],
        MinVersion::Tls13 => &[&version::TLS13],
    };
    let builder =
        ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
    let builder = match auth {
        None => builder.with_no_client_auth(),
        Some(auth) => {
            let mut roots = RootCertStore::empty();
            for root in &auth.roots {
                roots.add(root.clone())?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            let verifier = match auth.mode {
                ClientAuthMode::Require => verifier,
                ClientAuthMode::Request => verifier.allow_unauthenticated(),
            };
            let verifier = verifier
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(NoCertificate));
    // Tickets carry all of a session; 0-RTT, which rustls has only without them, stays off.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 2;
    Ok(config)
}

/// Stands where each handshake puts its own certificate.
#[derive(Debug)]
struct NoCertificate;

impl rustls::server::ResolvesServerCert for NoCertificate {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_for_every_name_that_a_route_of_the_same_host_serves() {
        for (name, host, is_for_it) in [
            ("admin.test", "admin.test", true),
            ("admin.test", "a.admin.test", false),
            ("*.test", "a.test", true),
            ("*.test", "a.b.test", true),
            ("*.test", "test", false),
            ("*.test", "atest", false),
            ("127.0.0.1", "127.0.0.1", true),
        ] {
            let names: [CertName; 2] = [name, host].map(|name| name.parse().unwrap());
            let found = nearness(&names[0], &names[1]).is_some();
            assert_eq!(found, is_for_it, "{name} {host}");
        }
        let near = |name: &str| nearness(&name.parse().unwrap(), &"a.b.test".parse().unwrap());
        assert!(near("*.test") < near("*.b.test") && near("*.b.test") < near("a.b.test"));
    }
}
