//! Wildcards by DNS-01, with signed updates of a real DNS server: Debian's BIND.

use super::keeper::{Kept, SOON, wanted};
use crate::support::pebble::{Behaviour, Pebble};
use crate::support::{free_port, until};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;
use tidegate::certs::settings::{ChallengeKind, DnsSettings};
use tokio::net::TcpStream;

const KEY: &str = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=";

/// A server of the zone `example.com`, in which every name leads here.
struct Named {
    _folder: TempDir,
    address: SocketAddr,
    child: Child,
}

impl Named {
    async fn start() -> Named {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let path = folder.path().display();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write(
            "zone",
            "$TTL 60\n@ IN SOA ns admin 1 60 60 60 60\n@ IN NS ns\nns IN A 127.0.0.1\n@ IN A \
             127.0.0.1\n"
                .to_owned(),
        );
        write(
            "named.conf",
            format!(
                "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; \
                 listen-on-v6 {{ none; }}; pid-file none; session-keyfile \"{path}/session\"; \
                 recursion no; }};\ncontrols {{ }};\nkey edge {{ algorithm hmac-sha256; secret \
                 \"{KEY}\"; }};\nzone \"example.com\" {{ type primary; file \"{path}/zone\"; \
                 allow-update {{ key edge; }}; }};\n"
            ),
        );
        let child = Command::new("named")
            .args(["-g", "-c", &format!("{path}/named.conf"), "-n", "1"])
            .env("PATH", path_with_sbin())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("named; `scripts/setup --test` installs it");
        let address: SocketAddr = ([127, 0, 0, 1], port).into();
        until("the DNS server listens", SOON, || async {
            TcpStream::connect(address).await.ok()
        })
        .await;
        Named {
            _folder: folder,
            address,
            child,
        }
    }

    fn settings(&self, key: &str) -> DnsSettings {
        let keys = [
            ("server", self.address.to_string()),
            ("key_name", "edge".to_owned()),
            ("key", key.to_owned()),
        ];
        let keys = keys.map(|(name, value)| (name.to_owned(), value));
        DnsSettings {
            provider: "rfc2136".to_owned(),
            keys: BTreeMap::from(keys),
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn path_with_sbin() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin")
}

#[tokio::test]
async fn a_wildcard_and_its_apex_come_by_dns_and_no_record_stays() {
    let named = Named::start().await;
    let behaviour = Behaviour {
        dns: Some(named.address),
        ..Behaviour::default()
    };
    let pebble = Pebble::start(behaviour).await;
    let mut wanted = wanted(
        &pebble,
        &["*.example.com", "example.com"],
        &[ChallengeKind::Dns01],
    );
    Arc::make_mut(&mut wanted.settings).dns = Some(named.settings(KEY));
    let kept = Kept::start(wanted).await;
    let wild = kept.has("x.example.com").await;
    let apex = kept.has("example.com").await;
    assert_ne!(wild, apex);
    assert!(
        kept.tls_folder()
            .join("held/_wildcard.example.com")
            .is_dir()
    );
    until("the records are gone", SOON, || async {
        let answer = Command::new("dig")
            .args(["@127.0.0.1", "-p", &named.address.port().to_string()])
            .args(["+short", "TXT", "_acme-challenge.example.com"])
            .output();
        // Without this tool, the certificates have to do.
        answer.map_or(Some(()), |answer| answer.stdout.is_empty().then_some(()))
    })
    .await;
}

#[tokio::test]
async fn a_key_that_the_server_refuses_is_said() {
    let named = Named::start().await;
    let behaviour = Behaviour {
        dns: Some(named.address),
        ..Behaviour::default()
    };
    let pebble = Pebble::start(behaviour).await;
    let mut wanted = wanted(&pebble, &["*.example.com"], &[ChallengeKind::Dns01]);
    Arc::make_mut(&mut wanted.settings).dns = Some(named.settings("d3Jvbmc="));
    let kept = Kept::start(wanted).await;
    let why = kept.fails("*.example.com").await;
    assert!(
        why.contains("rfc2136 does not take the record _acme-challenge.example.com"),
        "{why}"
    );
}
