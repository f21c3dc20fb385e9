//! Protocol and TLS between Tidegate and replicas.

use super::{check, reload, spec, web};
use crate::config::diff;
use crate::service::spec::{Protocol, Upstream};
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::path::Path;

/// `NAME.pem` and `NAME.key`, below a folder.
fn write(folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn upstream(keys: &str) -> Upstream {
    spec(&web(keys)).forward.upstream
}

#[test]
fn replicas_are_spoken_to_in_plain_http1_unless_the_file_says_otherwise() {
    assert_eq!(upstream(""), Upstream::default());
    assert_eq!(upstream("upstream_tls: false"), Upstream::default());
    let h2 = upstream("protocol: h2");
    assert_eq!((h2.protocol, h2.tls), (Protocol::H2, None));
    assert!(upstream("upstream_tls: { verify: false }").tls.is_some());
}

#[test]
fn a_reload_sees_that_a_file_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ca", "client"] {
        write(folder.path(), name);
    }
    let at = folder.path().display();
    let text = web(&format!(
        "upstream_tls: {{ server_name: api.internal, ca: {at}/ca.pem, cert: {at}/client.pem, key: {at}/client.key }}"
    ));
    let before = reload(&text, None).unwrap();
    let same = reload(&text, Some(&before)).unwrap();
    assert!(diff(&before, &same).changed.is_empty());
    write(folder.path(), "client");
    let after = reload(&text, Some(&before)).unwrap();
    assert_eq!(diff(&before, &after).changed.len(), 1);
}

#[test]
fn keys_that_cannot_be_meant_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ca", "client", "other"] {
        write(folder.path(), name);
    }
    let at = folder.path().display();
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    for (keys, expected) in [
        (
            "protocol: h3".to_owned(),
            "edge.yaml:4: services.web.protocol: expected `http1` or `h2`, found `h3`".to_owned(),
        ),
        (
            "upstream_tls: 5".to_owned(),
            "edge.yaml:4: services.web.upstream_tls: expected `true` or a mapping, found `5`
             hint: as in `{ server_name: api.internal, ca: ca.pem }`"
                .to_owned(),
        ),
        (
            "upstream_tls: { verify: false, ca: ca.pem }".to_owned(),
            "edge.yaml:4: services.web.upstream_tls.verify: is `false`, and `ca` says what to verify by
             hint: remove one of the two"
                .to_owned(),
        ),
        (
            "upstream_tls: { verify: false, server_name: 'a b' }".to_owned(),
            "edge.yaml:4: services.web.upstream_tls.server_name: expected a host name or an IP address, found `a b`
             hint: as in `api.internal`"
                .to_owned(),
        ),
        (
            format!("upstream_tls: {{ ca: {at}/empty.pem }}"),
            format!(
                "edge.yaml:4: services.web.upstream_tls.ca: `{at}/empty.pem`: no certificate in it
                 hint: expected PEM: `-----BEGIN CERTIFICATE-----`"
            ),
        ),
        (
            format!("upstream_tls: {{ verify: false, key: {at}/client.key }}"),
            "edge.yaml:4: services.web.upstream_tls.key: belongs to a certificate, and there is no `cert`
             hint: add `cert`, the file with the certificate"
                .to_owned(),
        ),
        (
            "upstream_tls: { insecure: true }".to_owned(),
            "edge.yaml:4: services.web.upstream_tls: unknown key `insecure`
             hint: use `verify: false`"
                .to_owned(),
        ),
    ] {
        check(&web(&keys), &expected);
    }
}
