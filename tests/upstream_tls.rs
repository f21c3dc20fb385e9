//! TLS between Tidegate and its replicas: names, authorities, client certificates, resumption.

use crate::support::client::{Connection, get};
use crate::support::edge::Edge;
use crate::support::h2_replica::H2Replica;
use crate::support::until;
use h2::server::Builder;
use http::StatusCode;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const SOON: Duration = Duration::from_secs(10);

/// An authority, and the folder with what it has signed.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = (DnType::CommonName, "An authority of this test");
        params.distinguished_name.push(name.0, name.1);
        let root = params.self_signed(&key).expect("a certificate");
        let folder = TempDir::new().expect("a folder");
        std::fs::write(folder.path().join("ca.pem"), root.pem()).expect("written");
        Authority {
            folder,
            root: root.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A certificate for `name`; `files` get it and its key as PEM.
    fn sign(
        &self,
        name: &str,
        files: Option<[&str; 2]>,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        if let Some([cert, secret]) = files {
            std::fs::write(self.path(cert), signed.pem()).expect("written");
            std::fs::write(self.path(secret), key.serialize_pem()).expect("written");
        }
        let secret = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (vec![signed.der().clone()], secret)
    }

    /// TLS of a replica with a certificate for `name`; `asks`: clients need one, too.
    fn server(&self, name: &str, asks: bool, alpn: &[u8]) -> Arc<ServerConfig> {
        let (chain, key) = self.sign(name, None);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match asks {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(self.root.clone()).expect("a root");
                let roots = Arc::new(roots);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let mut config = builder.with_single_cert(chain, key).expect("they fit");
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }
}

/// Handshakes of a replica of HTTP/1 above TLS.
#[derive(Default)]
struct Counts {
    full: AtomicU32,
    resumed: AtomicU32,
}

/// Answers each request, and ends the connection behind one for `/last`.
async fn replica(config: Arc<ServerConfig>) -> (SocketAddr, Arc<Counts>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let counts = Arc::new(Counts::default());
    let shared = Arc::clone(&counts);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            let (acceptor, counts) = (TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&shared));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let count = match stream.get_ref().1.handshake_kind() {
                    Some(HandshakeKind::Resumed) => &counts.resumed,
                    _ => &counts.full,
                };
                count.fetch_add(1, Ordering::Relaxed);
                let mut heard = Vec::new();
                while stream
                    .read_buf(&mut heard)
                    .await
                    .is_ok_and(|count| count > 0)
                {
                    if !heard.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let is_last = heard.starts_with(b"GET /last");
                    let body = String::from_utf8_lossy(&heard).into_owned();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: {}\r\n\r\n{body}",
                        body.len(),
                        if is_last { "close" } else { "keep-alive" }
                    );
                    if stream.write_all(answer.as_bytes()).await.is_err() || is_last {
                        let _ = stream.shutdown().await;
                        return;
                    }
                    heard.clear();
                }
            });
        }
    });
    (address, counts)
}

async fn edge(address: SocketAddr, tls: &str, more: &str) -> Edge {
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [\"{address}\"]\n    upstream_tls: {tls}\n{more}"
    ))
    .await;
    edge.listening().await;
    edge
}

const QUIET: &str = "    healthcheck: { type: tcp, interval: 60s }\n";

#[tokio::test]
async fn requests_pass_above_tls_and_connections_and_sessions_are_used_again() {
    let authority = Authority::new();
    let config = authority.server("api.internal", false, b"http/1.1");
    let (address, counts) = replica(config).await;
    let ca = authority.path("ca.pem");
    let tls = format!("{{ server_name: api.internal, ca: {ca} }}");
    let edge = edge(address, &tls, QUIET).await;
    edge.ready().await;
    let mut client = Connection::open(edge.address).await.expect("connected");
    for _ in 0..5 {
        let answer = client.get("/x").await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK);
        assert!(
            answer.text().contains("GET /x HTTP/1.1"),
            "{}",
            answer.text()
        );
    }
    let counted = || {
        let full = counts.full.load(Ordering::Relaxed);
        (full, counts.resumed.load(Ordering::Relaxed))
    };
    assert_eq!(counted(), (1, 0), "one connection for all");
    for _ in 0..3 {
        let answer = client.get("/last").await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert_eq!(counted(), (1, 2), "later ones resume its session");
    // Another form of target takes Pingora's way.
    let absolute = "GET http://web.example/abs HTTP/1.1\r\nhost: web.example\r\n\
        connection: close\r\n\r\n";
    let text = crate::support::client::raw(edge.address, absolute.as_bytes()).await;
    assert!(text.contains("GET /abs HTTP/1.1"), "{text}");
}

#[tokio::test]
async fn a_certificate_that_is_not_right_is_refused_and_said_to_be() {
    let (authority, other) = (Authority::new(), Authority::new());
    let config = authority.server("api.internal", false, b"http/1.1");
    let (address, _) = replica(config).await;
    let (ca, wrong) = (authority.path("ca.pem"), other.path("ca.pem"));
    for (tls, status, says) in [
        (
            format!("{{ server_name: web.internal, ca: {ca} }}"),
            StatusCode::BAD_GATEWAY,
            "is not for `web.internal` but for",
        ),
        (
            format!("{{ server_name: api.internal, ca: {wrong} }}"),
            StatusCode::BAD_GATEWAY,
            "not signed by a known authority",
        ),
        (
            format!("{{ ca: {ca} }}"),
            StatusCode::BAD_GATEWAY,
            "is not for `127.0.0.1` but for",
        ),
        ("{ verify: false }".to_owned(), StatusCode::OK, ""),
    ] {
        let edge = edge(address, &tls, QUIET).await;
        edge.ready().await;
        let answer = get(edge.address, "/x").await;
        assert_eq!(answer.status, status, "{tls}");
        if !says.is_empty() {
            edge.logs(says).await;
        }
    }
}

#[tokio::test]
async fn a_replica_that_asks_for_a_certificate_gets_it() {
    let authority = Authority::new();
    authority.sign("tidegate.internal", Some(["client.pem", "client.key"]));
    let config = authority.server("api.internal", true, b"http/1.1");
    let (address, _) = replica(config).await;
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| authority.path(name));
    let with = format!("server_name: api.internal, ca: {ca}");
    for (tls, status) in [
        (
            format!("{{ {with}, cert: {cert}, key: {key} }}"),
            StatusCode::OK,
        ),
        (format!("{{ {with} }}"), StatusCode::BAD_GATEWAY),
    ] {
        let edge = edge(address, &tls, QUIET).await;
        edge.ready().await;
        assert_eq!(get(edge.address, "/x").await.status, status, "{tls}");
    }
}

#[tokio::test]
async fn health_checks_speak_tls_and_say_what_is_wrong_with_it() {
    let authority = Authority::new();
    let config = authority.server("api.internal", false, b"http/1.1");
    let (address, _) = replica(config).await;
    let ca = authority.path("ca.pem");
    let check = "    healthcheck: { path: /x, interval: 100ms }\n";
    let tls = format!("{{ server_name: api.internal, ca: {ca} }}");
    let right = edge(address, &tls, check).await;
    right.shows("web", "0=ready", SOON).await;
    let tls = format!("{{ server_name: web.internal, ca: {ca} }}");
    let wrong = edge(address, &tls, check).await;
    until("its status says why", SOON, || async {
        let service = wrong.service("web").await.to_string();
        service.contains("is not for `web.internal`").then_some(())
    })
    .await;
}

#[tokio::test]
async fn http2_goes_above_tls_by_its_name() {
    let authority = Authority::new();
    let config = authority.server("api.internal", false, b"h2");
    let replica = H2Replica::start_with("A", Builder::new(), Some(config)).await;
    let ca = authority.path("ca.pem");
    let tls = format!("{{ server_name: api.internal, ca: {ca} }}");
    let keys = "    protocol: h2\n    healthcheck: { path: /up, interval: 100ms }\n";
    let edge = edge(replica.address, &tls, keys).await;
    edge.shows("web", "0=ready", SOON).await;
    let answer = get(edge.address, "/x").await;
    let uri = format!("https://{}/x", edge.address);
    assert_eq!(answer.json()["uri"], uri.as_str());
}
