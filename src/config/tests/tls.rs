//! The keys below `tls`.

use super::{check, compare, good, reload, try_load};
use crate::certs::settings::{Ca, ChallengeKind, ClientAuthMode, MinVersion, UnknownName};
use crate::config::diff;
use rcgen::{CertificateParams, KeyPair};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with `NAME.pem` and `NAME.key` for each name.
fn certificates(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in names {
        write(folder.path(), name, &[name]);
    }
    folder
}

fn write(folder: &Path, file: &str, names: &[&str]) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let certificate = CertificateParams::new(names).unwrap().self_signed(&key);
    let certificate = certificate.unwrap().pem();
    fs::write(folder.join(format!("{file}.pem")), certificate).unwrap();
    fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
}

fn with_tls(keys: &str) -> String {
    format!("services: {{web: {{image: web}}}}\ntls: {{{keys}}}\n")
}

#[test]
fn an_address_for_mail_is_enough() {
    let tls = good(&with_tls("email: ops@example.com")).tls.unwrap();
    let settings = tls.settings;
    assert_eq!(settings.listen, ["0.0.0.0:443".parse().unwrap()]);
    assert!(settings.acme.for_routes && settings.redirect);
    assert_eq!(settings.acme.ca, [Ca::LetsEncrypt]);
    let usual = [ChallengeKind::TlsAlpn01, ChallengeKind::Http01];
    assert_eq!(settings.acme.challenges, usual);
    assert_eq!(settings.min_version, MinVersion::Tls12);
    assert_eq!(settings.unknown_name, UnknownName::Refuse);
    assert!(settings.hsts.is_none() && settings.client_auth.is_empty());
    assert!(good("services: {web: {image: web}}").tls.is_none());
}

#[test]
fn every_key_is_read() {
    let folder = certificates(&["a.example.com", "clients"]);
    let at = folder.path().display();
    fs::write(folder.path().join("eab"), "c2VjcmV0").unwrap();
    let config = good(&format!(
        "services: {{web: {{image: web}}}}
listen: [127.0.0.1:80]
proxy_protocol: [127.0.0.1:444]
trusted_proxies: [10.0.0.1]
tls:
  listen: [127.0.0.1:443, 127.0.0.1:444]
  email: ops@example.com
  ca: [letsencrypt-staging, \"https://ca.internal/directory\"]
  ca_root: {at}/clients.pem
  eab: {{ key_id: kid, hmac_key_file: {at}/eab }}
  profile: shortlived
  challenges: [dns-01]
  dns: {{ provider: rfc2136, server: \"127.0.0.1:53\", key_name: k, key: 053 }}
  resolvers: [\"127.0.0.1:53\"]
  challenge_ports: {{ http: 5002, tls: 5001 }}
  hosts: [\"*.example.com\", 192.0.2.1]
  certificates: [{{ cert: {at}/a.example.com.pem, key: {at}/a.example.com.key }}]
  on_demand: {{ ask: \"http://127.0.0.1:5555/allowed\" }}
  redirect: false
  hsts: {{ max_age: 1y, include_subdomains: true, preload: true }}
  min_version: 1.3
  unknown_name: default
  client_auth: {{ ca: {at}/clients.pem, mode: request, hosts: [admin.example.com] }}
"
    ));
    let tls = config.tls.unwrap();
    assert_eq!(tls.held[0].names[0].to_string(), "a.example.com");
    let settings = tls.settings;
    assert_eq!(settings.listen.len(), 2);
    let acme = settings.acme;
    let own = Ca::Directory("https://ca.internal/directory".to_owned());
    assert_eq!(acme.ca, [Ca::LetsEncryptStaging, own]);
    assert_eq!(acme.eab.unwrap().key_id, "kid");
    assert_eq!(acme.profile.as_deref(), Some("shortlived"));
    assert_eq!(acme.challenges, [ChallengeKind::Dns01]);
    let dns = acme.dns.unwrap();
    assert_eq!((&*dns.provider, &*dns.keys["key"]), ("rfc2136", "053"));
    assert_eq!(acme.hosts.len(), 2);
    assert!(acme.on_demand.is_some() && !settings.redirect);
    let expected = "max-age=31557600; includeSubDomains; preload";
    assert_eq!(settings.hsts.unwrap().to_string(), expected);
    assert_eq!(settings.min_version, MinVersion::Tls13);
    assert_eq!(settings.unknown_name, UnknownName::Default);
    let [client_auth] = &settings.client_auth[..] else {
        panic!("one policy");
    };
    assert_eq!(client_auth.mode, ClientAuthMode::Request);
    assert_eq!(client_auth.roots.len(), 1);
}

#[test]
fn files_that_cannot_be_used_say_why() {
    let folder = certificates(&["a.test", "b.test"]);
    let file = |name: &str| folder.path().join(name).display().to_string();
    let [cert, key, other] = ["a.test.pem", "a.test.key", "b.test.key"].map(file);
    let garbled = file("garbled.pem");
    fs::write(&garbled, "no certificate").unwrap();
    for (keys, expected) in [
        (
            format!("cert: {cert}, key: {other}"),
            format!(
                "certificates[0].key: `{other}`: the key does not belong to the certificate
                 hint: name the key that the certificate was requested with, and put the server's certificate first; `openssl x509 -in CERT -noout -pubkey` and `openssl pkey -in KEY -pubout` must agree"
            ),
        ),
        (
            format!("cert: {garbled}, key: {key}"),
            format!(
                "certificates[0].cert: `{garbled}`: no certificate in it
                 hint: expected PEM: `-----BEGIN CERTIFICATE-----`, the server's certificate first, then the authorities between it and the root"
            ),
        ),
        (
            format!("cert: {cert}"),
            format!(
                "certificates[0].cert: `{cert}`: no private key in it
                 hint: expected PEM: `-----BEGIN PRIVATE KEY-----`"
            ),
        ),
        (
            format!("cert: {cert}, key: /nowhere/a.key"),
            "certificates[0].key: cannot open `/nowhere/a.key`: No such file or directory (os error 2)".to_owned(),
        ),
        (
            format!("cert: {cert}, chain: x, key: {key}"),
            "certificates[0]: unknown key `chain`
             hint: the chain follows the certificate in `cert`".to_owned(),
        ),
    ] {
        check(
            &with_tls(&format!("certificates: [{{{keys}}}]")),
            &format!("edge.yaml:2: tls.{expected}"),
        );
    }
}

#[test]
fn a_relative_path_begins_beside_the_configuration() {
    let folder = certificates(&["a.test"]);
    let named: PathBuf = folder.path().join("edge.yaml");
    let text = crate::config::Text {
        name: named.display().to_string(),
        content: with_tls("certificates: [{cert: a.test.pem, key: a.test.key}]"),
    };
    let overrides = crate::config::Overrides::new(Default::default(), super::env());
    let (_writer, reader) = crate::service::store::store();
    let loaded = crate::config::load(&text, &overrides, &super::stubs::registry(), reader, None);
    assert_eq!(loaded.unwrap().tls.unwrap().held.len(), 1);
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    for (keys, expected) in [
        (
            "",
            "tls: has no certificates
             hint: with `email: you@example.com` they are ordered for the hosts of all routes; own files are `certificates: [{ cert: a.pem, key: a.key }]`",
        ),
        (
            "email: ops",
            "tls.email: expected an address for mail, found `ops`
             hint: as in `ops@example.com`; authorities refuse others",
        ),
        (
            "ca: letsencrpyt",
            "tls.ca: expected a certificate authority, found `letsencrpyt`
             hint: did you mean `letsencrypt`?",
        ),
        (
            "ca: \"http://ca.internal/dir\"",
            "tls.ca: expected a certificate authority, found `http://ca.internal/dir`
             hint: orders go over https only",
        ),
        (
            "ca: zerossl",
            "tls.ca: `zerossl` opens accounts for its customers only
             hint: create a key there, and add `eab: { key_id: …, hmac_key_file: … }`",
        ),
        (
            "ca: local, challenges: [dns-01]",
            "tls.challenges: `dns-01` needs to know where the DNS records are
             hint: add `dns: { provider: …, … }`",
        ),
        (
            "email: a@example.com, dns: {provider: cloudflar, token: x}",
            "tls.dns.provider: expected a DNS provider, found `cloudflar`
             hint: did you mean `cloudflare`?",
        ),
        (
            "email: a@example.com, dns: {provider: cloudflare, tokn: x}",
            "tls.dns.tokn: `cloudflare` has no key `tokn`
             hint: did you mean `token`?
             edge.yaml:2: tls.dns: `cloudflare` needs `token`
             hint: or `token_file` with the path of a file that holds it",
        ),
        (
            "email: a@example.com, challenge_ports: { http: 0 }",
            "tls.challenge_ports.http: expected a port from 1 to 65535, found `0`",
        ),
        (
            "email: a@example.com, hosts: [\"*.example.com\"]",
            "tls: a certificate for `*.example.com` can only be ordered through DNS
             hint: add `challenges: [dns-01]` and `dns: { provider: …, … }`, or give the wildcard's own files under `certificates`",
        ),
        (
            "email: a@example.com, hosts: [\"a b\"]",
            "tls.hosts[0]: expected a host name, found `a b`
             hint: as in `www.example.com`, `*.example.com` or `192.0.2.1`",
        ),
        (
            "on_demand: {}",
            "tls.on_demand: needs `ask`, or anybody could have certificates ordered for any name
             hint: as in `{ ask: \"http://127.0.0.1:5555/allowed\" }`: a URL that answers 2xx for names that are yours",
        ),
        (
            "ca: local, hsts: { max_age: 30days, preload: true }",
            "tls.hsts.preload: browsers' lists accept no less than a year, and all subdomains
             hint: write `{ max_age: 1y, include_subdomains: true, preload: true }`",
        ),
        (
            "ca: local, hsts: { max_age: 60 }",
            "tls.hsts.max_age: expected a duration, found `60`
             hint: write a number and a unit, as in `30days` or `1y`",
        ),
        (
            "ca: local, min_version: 1.1",
            "tls.min_version: expected `1.2` or `1.3`, found `1.1`",
        ),
        (
            "ca: local, client_auth: { mode: require }",
            "tls.client_auth: names no authority
             hint: add `ca: clients.pem`, the certificates of who issues those of clients",
        ),
        (
            "ca: local, listen: []",
            "tls.listen: is empty
             hint: write at least one, as in `[\"0.0.0.0:443\"]`, or leave `tls` out",
        ),
        (
            "ca: local, listen: [0.0.0.0:80]",
            "tls.listen: `0.0.0.0:80` is listed under `listen` as well
             hint: a port speaks either https or plain http",
        ),
        (
            "ca: local, listen: 443",
            "tls.listen: expected a list, found `443`",
        ),
        (
            "ca: local, cert: a.pem",
            "tls: unknown key `cert`
             hint: write `certificates: [{ cert: a.pem, key: a.key }]`",
        ),
    ] {
        check(&with_tls(keys), &format!("edge.yaml:2: {expected}"));
    }
}

#[test]
fn routes_with_wildcards_need_dns_or_a_file() {
    let folder = certificates(&["*.example.com"]);
    let yaml = |keys: &str| {
        format!(
            "services: {{web: {{image: web, routes: [{{host: \"*.example.com\"}}]}}}}\ntls: {{{keys}}}\n"
        )
    };
    let problems = try_load(&yaml("email: a@example.com")).err().unwrap();
    compare(
        &problems,
        "",
        "edge.yaml:2: tls: a certificate for `*.example.com` can only be ordered through DNS
         hint: add `challenges: [dns-01]` and `dns: { provider: …, … }`, or give the wildcard's own files under `certificates`",
    );
    let at = folder.path().display();
    let own = format!(
        "certificates: [{{cert: \"{at}/*.example.com.pem\", key: \"{at}/*.example.com.key\"}}]"
    );
    good(&yaml(&format!("email: a@example.com, {own}")));
    good(&yaml(
        "email: a@example.com, dns: {provider: bunny, token: x}",
    ));
    good(&yaml("ca: local"));
}

#[test]
fn a_reload_tells_certificates_from_listeners() {
    let folder = certificates(&["a.test"]);
    let at = folder.path().display().to_string();
    let own = |listen: &str| {
        with_tls(&format!(
            "listen: [\"{listen}\"], certificates: [{{cert: {at}/a.test.pem, key: {at}/a.test.key}}]"
        ))
    };
    let before = good(&own("127.0.0.1:443"));
    let same = reload(&own("127.0.0.1:443"), Some(&before)).unwrap();
    assert!(diff(&before, &same).is_empty());
    write(folder.path(), "a.test", &["a.test"]);
    let mut after = reload(&own("127.0.0.1:444"), Some(&before)).unwrap();
    let changed = diff(&before, &after).to_string();
    assert_eq!(
        changed,
        "certificates or rules of TLS changed; only a restart changes tls.listen"
    );
    after.keep_what_needs_a_restart(&before);
    let kept = after.tls.unwrap().settings.listen;
    assert_eq!(kept, before.tls.unwrap().settings.listen);
}
