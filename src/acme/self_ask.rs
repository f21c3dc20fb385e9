//! One question to ourselves, over HTTP or TLS.

use super::answers::{Answers, Given, server_name};
use super::failure::Failure;
use super::http::exchange;
use crate::certs::challenges::{ACME_TLS_ALPN, HTTP_01_PATH};
use crate::certs::{AnsweredChallenge, CertName, crypto};
use ::http::{Request, header};
use http_body_util::Full;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Result of asking one address.
pub enum Heard {
    Ours,
    /// No answer, which proves nothing.
    Nothing,
    Other(String),
}

/// A question, and the answer that only we give to it.
pub enum SelfAsk {
    Http {
        host: String,
        path: String,
        answer: String,
        port: u16,
        _given: AnsweredChallenge,
    },
    Tls {
        connector: TlsConnector,
        server: ServerName<'static>,
        port: u16,
        given: Given,
    },
}

impl SelfAsk {
    pub fn http(answers: &Answers, name: &CertName, port: u16) -> SelfAsk {
        let token = format!("self-check-{}", uuid::Uuid::new_v4().simple());
        let answer = format!("{token}.{}", uuid::Uuid::new_v4().simple());
        SelfAsk::Http {
            host: match name {
                CertName::Ip(IpAddr::V6(address)) => format!("[{address}]"),
                other => other.to_string(),
            },
            path: format!("{HTTP_01_PATH}{token}"),
            _given: answers.challenges.answer_http(&token, &answer),
            answer,
            port,
        }
    }

    pub fn tls(answers: &Answers, name: &CertName, port: u16) -> Result<SelfAsk, Failure> {
        let wrong = |why: String| Failure::new(format!("no question to ourselves: {why}"));
        let digest = Sha256::digest(uuid::Uuid::new_v4().as_bytes());
        let given = answers.alpn(name, &digest)?;
        let expected = CertificateDer::from_pem_slice(given.pem().unwrap_or_default().as_bytes());
        let expected = expected.map_err(|error| wrong(format!("{error:?}")))?;
        let config = only(expected).map_err(|error| wrong(error.to_string()))?;
        let server = ServerName::try_from(server_name(name));
        Ok(SelfAsk::Tls {
            connector: TlsConnector::from(Arc::new(config)),
            server: server.map_err(|error| wrong(error.to_string()))?,
            port,
            given,
        })
    }

    pub async fn ask(&self, stream: TcpStream) -> Heard {
        match self {
            SelfAsk::Http {
                host,
                path,
                answer,
                port,
                ..
            } => {
                let request = Request::get(path)
                    .header(header::HOST, host)
                    .header(header::USER_AGENT, "tidegate self-check")
                    .body(Full::default());
                let Ok(request) = request else {
                    return Heard::Nothing;
                };
                match exchange(stream, request).await {
                    Ok(heard) if heard.body().trim_ascii() == answer.as_bytes() => Heard::Ours,
                    Ok(heard) => Heard::Other(format!(
                        "another program answers there, with status {}; lead port {port} to this \
                         process",
                        heard.status().as_u16()
                    )),
                    Err(why) => Heard::Other(format!(
                        "what listens there does not answer over HTTP ({why}); lead port {port} to \
                         this process"
                    )),
                }
            }
            SelfAsk::Tls {
                connector,
                server,
                port,
                ..
            } => {
                let other = |why: &str| {
                    Heard::Other(format!(
                        "another program answers there, or a proxy ends TLS ({why}); lead port {port} \
                         to this process"
                    ))
                };
                match connector.connect(server.clone(), stream).await {
                    Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(ACME_TLS_ALPN) => {
                        Heard::Ours
                    }
                    Ok(_) => other("it does not speak acme-tls/1"),
                    Err(error) => other(&error.to_string()),
                }
            }
        }
    }

    /// Takes the answer back.
    pub fn end(self) {
        if let SelfAsk::Tls { given, .. } = self {
            given.withdraw();
        }
    }
}

/// A client that accepts one certificate and no other.
fn only(expected: CertificateDer<'static>) -> Result<ClientConfig, rustls::Error> {
    let provider = crypto::provider();
    let schemes = provider
        .signature_verification_algorithms
        .supported_schemes();
    let verifier = Arc::new(Only { expected, schemes });
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions()?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ACME_TLS_ALPN.to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct Only {
    expected: CertificateDer<'static>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Only {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match certificate.as_ref() == self.expected.as_ref() {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General("another certificate".to_owned())),
        }
    }

    // The certificate is known byte by byte, and no secret is sent: a signature proves no more.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
