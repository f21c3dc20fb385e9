//! An authority that issues certificates, and clients that trust it.

use super::client::Answer;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tidegate::certs::crypto::provider;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub type Stream = TlsStream<TcpStream>;

pub struct Authority {
    root: CertificateDer<'static>,
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A client's certificate and its key.
type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    pub fn new(name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a root");
        Authority {
            root: certificate.der().clone(),
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// PEM of a new certificate for `names`, and of its key.
    pub fn pair(&self, names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        (certificate.pem(), key.serialize_pem())
    }

    /// Writes `FILE.pem` and `FILE.key`, a new certificate for `names`.
    pub fn write(&self, folder: &Path, file: &str, names: &[&str]) {
        let (certificate, key) = self.pair(names);
        std::fs::write(folder.join(format!("{file}.pem")), certificate).expect("written");
        std::fs::write(folder.join(format!("{file}.key")), key).expect("written");
    }

    /// A certificate for the client `name`.
    pub fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (certificate.der().clone(), key)
    }
}

/// A client that trusts one authority and keeps its sessions.
#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Client {
    pub fn new(address: SocketAddr, authority: &Authority) -> Client {
        Client::with(address, authority, None, &[&TLS13, &TLS12])
    }

    pub fn with_tls12(address: SocketAddr, authority: &Authority) -> Client {
        Client::with(address, authority, None, &[&TLS12])
    }

    /// A client with a certificate of its own.
    pub fn named(address: SocketAddr, authority: &Authority, identity: Identity) -> Client {
        Client::with(address, authority, Some(identity), &[&TLS13, &TLS12])
    }

    /// A client that trusts the root in `pem`.
    pub fn trusting(address: SocketAddr, pem: &str) -> Client {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a root");
        roots.add(root).expect("a root");
        let config = ClientConfig::builder_with_provider(provider());
        let config = config.with_safe_default_protocol_versions();
        let config = config.expect("versions").with_root_certificates(roots);
        Client {
            address,
            config: Arc::new(config.with_no_client_auth()),
        }
    }

    fn with(
        address: SocketAddr,
        authority: &Authority,
        identity: Option<Identity>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(authority.root.clone()).expect("a root");
        let config = ClientConfig::builder_with_provider(provider());
        let config = config.with_protocol_versions(versions).expect("versions");
        let config = config.with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => config
                .with_client_auth_cert(vec![certificate], key)
                .expect("an identity"),
        };
        Client {
            address,
            config: Arc::new(config),
        }
    }

    /// Offers `protocols` from now on.
    pub fn offering(mut self, protocols: &[&str]) -> Client {
        let config = Arc::make_mut(&mut self.config);
        let protocols = protocols.iter().map(|protocol| protocol.as_bytes());
        config.alpn_protocols = protocols.map(<[u8]>::to_vec).collect();
        self
    }

    /// Shakes hands as a client of `host`, which may be an address.
    pub async fn connect(&self, host: &str) -> io::Result<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        self.connect_on(stream, host).await
    }

    pub async fn connect_on(&self, stream: TcpStream, host: &str) -> io::Result<Stream> {
        let name = ServerName::try_from(host.to_owned()).expect("a name");
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(name, stream).await
    }

    pub async fn get(&self, host: &str, path: &str) -> Answer {
        let stream = self.connect(host).await.expect("a handshake");
        send(stream, Request::get(path).header("host", host)).await
    }
}

/// One request over `stream`.
pub async fn send(stream: Stream, request: http::request::Builder) -> Answer {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    let (head, body) = answer.into_parts();
    Answer {
        status: head.status,
        headers: head.headers,
        body: body.collect().await.expect("a body").to_bytes(),
    }
}

/// Whether the session was resumed, once a request has been answered on it: tickets come with it.
pub async fn is_resumed(client: &Client, host: &str) -> bool {
    let stream = client.connect(host).await.expect("a handshake");
    let kind = stream.get_ref().1.handshake_kind();
    let answer = send(stream, Request::get("/x").header("host", host)).await;
    assert_eq!(answer.status, 200);
    kind == Some(HandshakeKind::Resumed)
}

/// Names in the certificate that the other side showed, as in `a.test, b.test`.
pub fn shown(stream: &Stream) -> String {
    let certificates = stream.get_ref().1.peer_certificates().expect("shown");
    let names = tidegate::certs::held::names_of(&certificates[0]).expect("a certificate");
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}
