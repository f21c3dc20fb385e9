//! Certificates of clients: which hosts ask for them, and who issues them.

use super::value::{ValueError, one_of};
use crate::certs::CertName;
use crate::certs::settings::{ClientAuth, ClientAuthMode};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use serde::Deserialize;
use serde_yaml::Value;
use std::path::Path;
use std::sync::Arc;

const POLICIES_MAX: usize = 100;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientAuthKeys {
    pub ca: Option<Scalar>,
    pub mode: Option<Scalar>,
    pub hosts: Option<Vec<Value>>,
}

impl Shape for ClientAuthKeys {}

/// The policies; `None` after a problem.
pub fn client_auth(at: &At<'_>, typed: Option<Value>) -> Option<Vec<ClientAuth>> {
    let policies = match typed {
        None => return Some(Vec::new()),
        Some(value @ Value::Mapping(_)) => vec![policy(at, value)?],
        Some(Value::Sequence(list)) if list.len() <= POLICIES_MAX => {
            let one = |(index, value)| policy(&at.index(index), value);
            let policies: Vec<_> = list.into_iter().enumerate().map(one).collect();
            policies.into_iter().collect::<Option<Vec<_>>>()?
        }
        Some(Value::Sequence(_)) => {
            at.error(format!("more than {POLICIES_MAX} policies"));
            return None;
        }
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                "as in `{ ca: clients.pem, mode: require, hosts: [admin.example.com] }`",
            );
            return None;
        }
    };
    overlaps(at, &policies);
    Some(policies)
}

fn policy(at: &At<'_>, value: Value) -> Option<ClientAuth> {
    let keys: ClientAuthKeys = at.shape(value);
    if keys.ca.is_none() {
        at.error_hint(
            "names no authority",
            "add `ca: clients.pem`, the certificates of who issues those of clients",
        );
    }
    let roots = at.file("ca", keys.ca.as_ref());
    let roots = roots.and_then(|(path, pem)| at.key("ca").accept(roots_of(&path, &pem)));
    let modes = [
        ("require", ClientAuthMode::Require),
        ("request", ClientAuthMode::Request),
    ];
    let mode = keys.mode.as_ref();
    let mode = at.read("mode", mode, ClientAuthMode::Require, one_of(&modes));
    let hosts = names(&at.key("hosts"), keys.hosts);
    Some(ClientAuth {
        roots: roots?,
        mode: mode?,
        hosts: hosts?,
    })
}

/// Certificates of authorities that a verifier accepts.
fn roots_of(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ValueError> {
    let shown = path.display();
    let broken = |why: String| ValueError::new(format!("`{shown}`: {why}"));
    let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let roots = roots.map_err(|error| broken(format!("damaged PEM ({error:?})")))?;
    if roots.is_empty() {
        return Err(ValueError::hint(
            format!("`{shown}`: no certificate in it"),
            "expected PEM: `-----BEGIN CERTIFICATE-----`",
        ));
    }
    let mut store = rustls::RootCertStore::empty();
    for root in &roots {
        let added = store.add(root.clone());
        added.map_err(|error| broken(format!("a damaged certificate ({error})")))?;
    }
    let provider = crate::certs::crypto::provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider).build();
    verifier.map_err(|error| broken(error.to_string()))?;
    Ok(roots)
}

/// Names of certificates.
pub(super) fn names(at: &At<'_>, typed: Option<Vec<Value>>) -> Option<Vec<CertName>> {
    let mut names: Vec<CertName> = Vec::new();
    let mut are_right = true;
    for (index, value) in typed.unwrap_or_default().iter().enumerate() {
        let at = at.index(index);
        let name = at.scalar(value).and_then(|typed| at.accept(name(&typed)));
        match name {
            Some(name) if names.contains(&name) => at.error(format!("`{name}` is listed twice")),
            Some(name) => names.push(name),
            None => are_right = false,
        }
    }
    are_right.then_some(names)
}

fn name(typed: &Scalar) -> Result<CertName, ValueError> {
    let shown = typed.to_string();
    shown.parse().map_err(|_| {
        ValueError::hint(
            format!("expected a host name, found `{shown}`"),
            "as in `www.example.com`, `*.example.com` or `192.0.2.1`",
        )
    })
}

/// Reports hosts that two policies claim.
fn overlaps(at: &At<'_>, policies: &[ClientAuth]) {
    for (index, policy) in policies.iter().enumerate() {
        for other in &policies[..index] {
            let twice = policy.hosts.iter().find(|host| other.hosts.contains(host));
            if let Some(host) = twice {
                at.index(index)
                    .error(format!("`{host}` is listed in another policy already"));
            }
            if policy.hosts.is_empty() && other.hosts.is_empty() {
                at.index(index).error_hint(
                    "two policies are for every host",
                    "give at least one of them `hosts`",
                );
            }
        }
    }
}
