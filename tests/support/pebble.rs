//! A certificate authority for tests: Debian's pebble, and the DNS server that it asks.

use super::tls::Client;
use super::{free_port, until};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const START_WITHIN: Duration = Duration::from_secs(20);
/// Key of the account at the CA's owner, in tests with one.
pub const EAB_KEY_ID: &str = "kid-1";
pub const EAB_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

/// How the CA behaves.
pub struct Behaviour {
    /// Share of good nonces that are refused, in percent.
    pub bad_nonces: u8,
    pub lifetime: Duration,
    pub wants_binding: bool,
    /// Where names are resolved, instead of at a server that leads all of them here.
    pub dns: Option<SocketAddr>,
    /// Longest pause before it looks at a challenge, in seconds.
    pub pause: u32,
}

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour {
            bad_nonces: 0,
            lifetime: Duration::from_secs(90 * 24 * 60 * 60),
            wants_binding: false,
            dns: None,
            pause: 0,
        }
    }
}

pub struct Pebble {
    folder: TempDir,
    behaviour: Behaviour,
    acme_port: u16,
    management_port: u16,
    /// Ports at which it asks.
    pub http_port: u16,
    pub tls_port: u16,
    /// Where names are resolved.
    pub dns: SocketAddr,
    dns_server: Option<Child>,
    child: Option<Child>,
}

impl Pebble {
    pub async fn start(behaviour: Behaviour) -> Pebble {
        let mut pebble = Pebble::prepare(behaviour);
        pebble.up().await;
        pebble
    }

    /// Everything but the process itself.
    pub fn prepare(behaviour: Behaviour) -> Pebble {
        let folder = TempDir::new().expect("a folder");
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("names");
        let certificate = params.self_signed(&key).expect("a certificate");
        let write = |name: &str, text: &str| {
            fs::write(folder.path().join(name), text).expect("written");
        };
        write("cert.pem", &certificate.pem());
        write("key.pem", &key.serialize_pem());
        let mut dns_server = None;
        let dns = behaviour.dns.unwrap_or_else(|| {
            let port = free_port();
            let everything_is_here = Command::new("pebble-challtestsrv")
                .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
                .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
                .args(["-dns01", &format!("127.0.0.1:{port}")])
                .args(["-management", &format!("127.0.0.1:{}", free_port())])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let what = "pebble-challtestsrv; `scripts/setup --test` installs it";
            dns_server = Some(everything_is_here.expect(what));
            ([127, 0, 0, 1], port).into()
        });
        Pebble {
            folder,
            behaviour,
            acme_port: free_port(),
            management_port: free_port(),
            http_port: free_port(),
            tls_port: free_port(),
            dns,
            dns_server,
            child: None,
        }
    }

    /// Starts the process. After a stop it has forgotten every account, as pebble keeps none.
    pub async fn up(&mut self) {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.acme_port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management_port),
            "certificate": file("cert.pem"),
            "privateKey": file("key.pem"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": self.behaviour.wants_binding,
            "externalAccountMACKeys": { EAB_KEY_ID: EAB_KEY },
            "certificateValidityPeriod": self.behaviour.lifetime.as_secs(),
        } });
        fs::write(self.folder.path().join("config.json"), config.to_string()).expect("written");
        let log = fs::File::create(self.folder.path().join("log")).expect("a log");
        let errors = log.try_clone().expect("a second handle");
        let pause = match self.behaviour.pause {
            0 => ("PEBBLE_VA_NOSLEEP", "1".to_owned()),
            seconds => ("PEBBLE_VA_SLEEPTIME", seconds.to_string()),
        };
        let child = Command::new("pebble")
            .args(["-config", &file("config.json")])
            .args(["-dnsserver", &self.dns.to_string()])
            .env(pause.0, pause.1)
            .env("PEBBLE_AUTHZREUSE", "0")
            .env(
                "PEBBLE_WFE_NONCEREJECT",
                self.behaviour.bad_nonces.to_string(),
            )
            .stdout(log)
            .stderr(errors)
            .spawn();
        self.child = Some(child.expect("pebble; `scripts/setup --test` installs it"));
        let address: SocketAddr = ([127, 0, 0, 1], self.acme_port).into();
        until("pebble listens", START_WITHIN, || async {
            tokio::net::TcpStream::connect(address).await.ok()
        })
        .await;
    }

    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The root of the certificates that it issues, as PEM.
    pub async fn issuing_root(&self) -> String {
        let own = fs::read_to_string(self.root()).expect("a root");
        let address = ([127, 0, 0, 1], self.management_port).into();
        let client = Client::trusting(address, &own);
        client.get("localhost", "/roots/0").await.text()
    }

    /// URL of the directory.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.acme_port)
    }

    /// File with the root behind its own HTTPS.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// File with the key of the account at the CA's owner.
    pub fn binding_key(&self) -> PathBuf {
        let path = self.folder.path().join("eab");
        fs::write(&path, EAB_KEY).expect("written");
        path
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Number of orders that it was asked for.
    pub fn orders(&self) -> usize {
        let log = self.log();
        log.lines()
            .filter(|line| line.contains("POST /order-plz"))
            .count()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.down();
        if let Some(mut server) = self.dns_server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
