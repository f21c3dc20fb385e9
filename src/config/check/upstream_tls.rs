//! TLS to replicas: names, authorities and the certificate that replicas are shown.

use super::upstream_verifier::Unverified;
use super::value::{ValueError, text};
use crate::certs::crypto::provider;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use crate::service::spec::{Protocol, UpstreamTls};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// The keys of TLS to replicas.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTlsKeys {
    pub server_name: Option<Scalar>,
    pub ca: Option<Scalar>,
    pub cert: Option<Scalar>,
    pub key: Option<Scalar>,
    pub verify: Option<Scalar>,
}

impl Shape for UpstreamTlsKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "insecure" | "skip_verify" | "insecure_skip_verify" => Some("use `verify: false`"),
            "sni" | "name" | "host" => Some("use `server_name`"),
            _ => None,
        }
    }
}

/// The inner `None`: clear text.
pub fn upstream_tls(
    at: &At<'_>,
    typed: Option<Value>,
    protocol: Protocol,
) -> Option<Option<UpstreamTls>> {
    let typed = match typed {
        None | Some(Value::Bool(false)) => return Some(None),
        Some(Value::Bool(true)) => Value::Mapping(Mapping::new()),
        Some(typed @ Value::Mapping(_)) => typed,
        Some(other) => {
            at.error_hint(
                format!("expected `true` or a mapping, found {}", what(&other)),
                "as in `{ server_name: api.internal, ca: ca.pem }`",
            );
            return None;
        }
    };
    let keys: UpstreamTlsKeys = at.shape(typed);
    let mut hash = Sha256::new();
    let name = match &keys.server_name {
        None => Some(None),
        Some(typed) => at.key("server_name").accept(server_name(typed)).map(Some),
    };
    let verify = at.read("verify", keys.verify.as_ref(), true, |typed| match typed {
        Scalar::Bool(verify) => Ok(*verify),
        other => Err(ValueError::new(format!(
            "expected `true` or `false`, found `{other}`"
        ))),
    });
    if verify == Some(false) && keys.ca.is_some() {
        at.key("verify").error_hint(
            "is `false`, and `ca` says what to verify by",
            "remove one of the two",
        );
        return None;
    }
    let roots = match keys.ca.as_ref() {
        _ if verify == Some(false) => Some(RootCertStore::empty()),
        None => system_roots(at),
        typed => {
            let file = at.file("ca", typed);
            file.as_ref().and_then(|(path, pem)| {
                hash.update(pem);
                at.key("ca").accept(roots(path, pem))
            })
        }
    };
    let client = client(at, &keys, &mut hash);
    let (name, verify, roots, client) = (name?, verify?, roots?, client?);
    for part in [
        format!("{:?} {verify} {protocol:?}", name).into_bytes(),
        vec![u8::from(keys.ca.is_some()), u8::from(client.is_some())],
    ] {
        hash.update(part);
    }
    let config = at.accept(config(roots, client, verify, protocol))?;
    Some(Some(UpstreamTls::new(config, name, hash.finalize().into())))
}

fn server_name(typed: &Scalar) -> Result<ServerName<'static>, ValueError> {
    let shown = text(typed)?;
    ServerName::try_from(shown.clone()).map_err(|_| {
        ValueError::hint(
            format!("expected a host name or an IP address, found `{shown}`"),
            "as in `api.internal`",
        )
    })
}

fn system_roots(at: &At<'_>) -> Option<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Certificates that rustls cannot parse are not needed.
    let (added, _ignored) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        at.error_hint(
            "this system has no certificates of authorities",
            "install `ca-certificates`, or name the authority's file with `ca`",
        );
        return None;
    }
    Some(roots)
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, ValueError> {
    let shown = path.display();
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        let added = roots.add(certificate);
        added.map_err(|error| {
            ValueError::new(format!("`{shown}`: a damaged certificate ({error})"))
        })?;
    }
    Ok(roots)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ValueError> {
    let shown = path.display();
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let found =
        found.map_err(|error| ValueError::new(format!("`{shown}`: damaged PEM ({error:?})")))?;
    match found.is_empty() {
        true => Err(ValueError::hint(
            format!("`{shown}`: no certificate in it"),
            "expected PEM: `-----BEGIN CERTIFICATE-----`",
        )),
        false => Ok(found),
    }
}

type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The certificate that replicas are shown; the inner `None`: none.
fn client(
    at: &At<'_>,
    keys: &UpstreamTlsKeys,
    hash: &mut Sha256,
) -> Option<Option<ClientCertificate>> {
    if keys.cert.is_none() && keys.key.is_none() {
        return Some(None);
    }
    if keys.cert.is_none() {
        at.key("key").error_hint(
            "belongs to a certificate, and there is no `cert`",
            "add `cert`, the file with the certificate",
        );
        return None;
    }
    let cert = at.file("cert", keys.cert.as_ref());
    // A key may follow the certificate in one file.
    let key = match &keys.key {
        None => cert.clone(),
        typed => at.file("key", typed.as_ref()),
    };
    let ((cert_path, chain), (key_path, secret)) = (cert?, key?);
    let chain_found = at.key("cert").accept(certificates(&cert_path, &chain));
    let place = match keys.key.is_some() {
        true => "key",
        false => "cert",
    };
    let key = PrivateKeyDer::from_pem_slice(&secret).map_err(|_| {
        ValueError::hint(
            format!("`{}`: no private key in it", key_path.display()),
            "expected PEM: `-----BEGIN PRIVATE KEY-----`",
        )
    });
    let key = at.key(place).accept(key);
    hash.update(&chain);
    hash.update(&secret);
    Some(Some((chain_found?, key?)))
}

fn config(
    roots: RootCertStore,
    client: Option<ClientCertificate>,
    verify: bool,
    protocol: Protocol,
) -> Result<ClientConfig, ValueError> {
    let broken = |error: rustls::Error| ValueError::new(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(broken)?;
    let builder = match verify {
        true => {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            let verifier = verifier.map_err(|error| ValueError::new(error.to_string()))?;
            builder.with_webpki_verifier(verifier)
        }
        false => {
            let verifier = Arc::new(Unverified);
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        }
    };
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            ValueError::hint(
                format!("the certificate and the key do not fit ({error})"),
                "`key` is the private key of the first certificate in `cert`",
            )
        })?,
    };
    config.alpn_protocols = vec![match protocol {
        Protocol::Http1 => b"http/1.1".to_vec(),
        Protocol::H2 => b"h2".to_vec(),
    }];
    Ok(config)
}
