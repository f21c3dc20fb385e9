//! TLS of the edge: listeners, certificates, and the rules of handshakes.

use super::acme::{AcmeKeys, acme};
use super::certificates::certificates;
use super::client_auth::client_auth;
use super::hsts::hsts;
use super::outline::Outline;
use super::value::{addresses, boolean, one_of};
use crate::certs::settings::{ChallengeKind, MinVersion, UnknownName};
use crate::certs::{CertName, TlsSettings};
use crate::config::checked::TlsConfig;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use std::net::SocketAddr;

const LISTEN: &str = "0.0.0.0:443";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsKeys {
    #[expect(
        dead_code,
        reason = "`tls_listen` reads it, also where other keys are wrong"
    )]
    pub listen: Option<Vec<Value>>,
    pub certificates: Option<Vec<Value>>,
    pub redirect: Option<Scalar>,
    /// A mapping, or `off`.
    pub hsts: Option<Value>,
    pub min_version: Option<Scalar>,
    pub unknown_name: Option<Scalar>,
    /// A mapping, or a list of them.
    pub client_auth: Option<Value>,
}

impl Shape for TlsKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "cert" | "key" | "cert_file" | "key_file" => {
                Some("write `certificates: [{ cert: a.pem, key: a.key }]`")
            }
            "domains" | "names" => Some("names of certificates beyond those of routes are `hosts`"),
            _ => None,
        }
    }
}

/// Addresses of the listeners that speak TLS, also where other keys are wrong.
pub fn tls_listen(at: &At<'_>, typed: Option<&Mapping>) -> Vec<SocketAddr> {
    let Some(typed) = typed else {
        return Vec::new();
    };
    let default = vec![Value::from(LISTEN)];
    let list = match typed.get("listen") {
        None | Some(Value::Null) => &default,
        Some(Value::Sequence(list)) => list,
        // Reported where the keys are read.
        Some(_) => return Vec::new(),
    };
    if list.is_empty() {
        at.key("listen").error_hint(
            "is empty",
            format!("write at least one, as in `[\"{LISTEN}\"]`, or leave `tls` out"),
        );
    }
    addresses(&at.key("listen"), list, |_, _| ())
}

/// TLS of the edge; `None` after a problem.
pub fn tls(
    at: &At<'_>,
    mut typed: Mapping,
    listen: Vec<SocketAddr>,
    services: &[Outline],
) -> Option<TlsConfig> {
    let acme_keys: AcmeKeys = at.part(&mut typed);
    let known = crate::config::keys::keys_of::<AcmeKeys>();
    let keys: TlsKeys = at.shape_beside(Value::Mapping(typed), known);
    let files = certificates(&at.key("certificates"), keys.certificates);
    let acme = acme(at, acme_keys);
    let redirect = at.read("redirect", keys.redirect.as_ref(), true, boolean);
    let hsts = hsts(&at.key("hsts"), keys.hsts);
    let versions = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
    let typed_version = keys.min_version.as_ref();
    let min_version = at.read(
        "min_version",
        typed_version,
        MinVersion::Tls12,
        one_of(&versions),
    );
    let unknown = [
        ("refuse", UnknownName::Refuse),
        ("default", UnknownName::Default),
    ];
    let typed_unknown = keys.unknown_name.as_ref();
    let unknown_name = at.read(
        "unknown_name",
        typed_unknown,
        UnknownName::Refuse,
        one_of(&unknown),
    );
    let client_auth = client_auth(&at.key("client_auth"), keys.client_auth);
    let (files, held) = files.into_iter().unzip();
    let checked = TlsConfig {
        settings: TlsSettings {
            listen,
            certificates: files,
            acme: acme?,
            redirect: redirect?,
            hsts: hsts?,
            min_version: min_version?,
            unknown_name: unknown_name?,
            client_auth: client_auth?,
        },
        held,
    };
    sources(at, &checked, services);
    wildcards(at, &checked, services);
    Some(checked)
}

/// Hosts of all routes.
fn hosts(services: &[Outline]) -> impl Iterator<Item = CertName> {
    let routes = services
        .iter()
        .filter_map(|service| service.routes.as_ref());
    let hosts = routes.flatten().filter_map(|route| route.host.as_ref());
    hosts.filter_map(|host| host.parse().ok())
}

/// Reports that no certificate can come from anywhere.
fn sources(at: &At<'_>, tls: &TlsConfig, services: &[Outline]) {
    let acme = &tls.settings.acme;
    let asks = acme.for_routes || !acme.hosts.is_empty() || acme.on_demand.is_some();
    let has_private = hosts(services).any(|name| name.is_private());
    // An unreadable file is one that was meant.
    let has_files = !tls.held.is_empty() || !tls.settings.certificates.is_empty();
    if !asks && !has_private && !has_files && !at.has_problems() {
        at.error_hint(
            "has no certificates",
            "with `email: you@example.com` they are ordered for the hosts of all routes; own \
             files are `certificates: [{ cert: a.pem, key: a.key }]`",
        );
    }
}

/// Reports wildcards that an authority would have to certify and cannot without DNS.
fn wildcards(at: &At<'_>, tls: &TlsConfig, services: &[Outline]) {
    let acme = &tls.settings.acme;
    if acme.challenges.contains(&ChallengeKind::Dns01) {
        return;
    }
    let is_ordered = |name: &CertName| {
        let has_file = tls.held.iter().any(|held| held.covers(name));
        name.is_wildcard() && !name.is_private() && !has_file
    };
    let of_routes = hosts(services).filter(|_| acme.for_routes);
    let names = of_routes.chain(acme.hosts.iter().cloned());
    if acme.is_local() {
        return;
    }
    for name in names.filter(is_ordered) {
        at.error_hint(
            format!("a certificate for `{name}` can only be ordered through DNS"),
            "add `challenges: [dns-01]` and `dns: { provider: …, … }`, or give the wildcard's own \
             files under `certificates`",
        );
    }
}
