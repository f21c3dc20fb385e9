//! A handshake, from the client's first byte to its end.

use super::clients::ClientCertificate;
use super::counts::{HandshakeCounts, HandshakeResult};
use super::facts::{Protocol, TlsFacts, TlsVersion};
use super::half_open::HalfOpen;
use super::policies::TlsPolicies;
use super::policy_id::PolicyId;
use super::secured::Secured;
use crate::certs::challenges::ACME_TLS_ALPN;
use crate::certs::{CertName, Held};
use rustls::server::Acceptor;
use rustls::{Error as TlsError, HandshakeKind, ProtocolVersion};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

/// First byte of a client's hello: a record with a message of the handshake.
const HANDSHAKE_RECORD: u8 = 0x16;
/// A fatal alert in clear: `unrecognized_name`.
const UNRECOGNIZED_NAME: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 112];
/// The same: `protocol_version`, which old clients understand.
const PROTOCOL_VERSION: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 70];

/// Handshakes of all listeners.
#[derive(Default)]
pub struct Handshakes {
    half_open: HalfOpen,
    pub counts: Arc<HandshakeCounts>,
}

/// A client that did not get as far as HTTP.
pub enum Unfinished {
    /// The client speaks plain HTTP, and nothing of it was read.
    PlainHttp(TcpStream),
    /// Over; the reason is for the log.
    Over(String),
}

/// The ends of a connection, as far as handshakes need them.
#[derive(Clone, Copy)]
pub struct Ends {
    pub client: IpAddr,
    pub local: IpAddr,
}

/// A failed step, with the reason for the log.
struct Failed(HandshakeResult, String);

impl Handshakes {
    /// Makes a handshake, whose steps have `within` that time together; the wait for a certificate
    /// that is being ordered is not counted.
    pub async fn make(
        &self,
        stream: TcpStream,
        ends: Ends,
        policies: &TlsPolicies,
        within: Duration,
    ) -> Result<(Secured, TlsFacts), Unfinished> {
        match timeout(within, first_byte(&stream)).await {
            Err(_) => return Err(self.over(Failed(HandshakeResult::Timeout, "no hello".into()))),
            Ok(Err(failed)) => return Err(self.over(failed)),
            Ok(Ok(HANDSHAKE_RECORD)) => {}
            Ok(Ok(byte)) if byte.is_ascii_uppercase() => {
                self.counts.add(HandshakeResult::PlainHttp, None);
                return Err(Unfinished::PlainHttp(stream));
            }
            Ok(Ok(_)) => {
                let mut stream = stream;
                let _ = timeout(within, stream.write_all(&PROTOCOL_VERSION)).await;
                return Err(self.over(Failed(HandshakeResult::NotTls, "no hello of TLS".into())));
            }
        }
        let mut place = self.half_open.enter();
        let made = tokio::select! {
            biased;
            made = shake_hands(stream, ends, policies, within) => made,
            () = place.given_up() => {
                Err(Failed(HandshakeResult::Crowded, "too many at once".into()))
            }
        };
        match made {
            Ok((stream, facts)) => {
                let result = match facts.is_resumed {
                    true => HandshakeResult::Resumed,
                    false => HandshakeResult::Full,
                };
                self.counts.add(result, Some(facts.version));
                Ok((stream, facts))
            }
            Err(failed) => Err(self.over(failed)),
        }
    }

    fn over(&self, Failed(result, why): Failed) -> Unfinished {
        self.counts.add(result, None);
        Unfinished::Over(why)
    }
}

async fn first_byte(stream: &TcpStream) -> Result<u8, Failed> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1..) => Ok(first[0]),
        Ok(0) => Err(Failed(HandshakeResult::Closed, "closed at once".into())),
        Err(error) => Err(Failed(HandshakeResult::Closed, error.to_string())),
    }
}

async fn shake_hands(
    stream: TcpStream,
    ends: Ends,
    policies: &TlsPolicies,
    within: Duration,
) -> Result<(Secured, TlsFacts), Failed> {
    let began = tokio::time::Instant::now();
    let late = |_| Failed(HandshakeResult::Timeout, "not complete in time".into());
    let reading = LazyConfigAcceptor::new(Acceptor::default(), stream);
    let start = timeout(within, reading).await.map_err(late)?;
    let start = start.map_err(|error| failed(&error))?;
    let left = within.saturating_sub(began.elapsed());

    let hello = start.client_hello();
    let name = hello.server_name().map(str::to_ascii_lowercase);
    let is_challenge = |protocol: &[u8]| protocol == ACME_TLS_ALPN;
    if hello.alpn().is_some_and(|mut all| all.any(is_challenge)) {
        return prove(start, name, policies, left).await;
    }
    let named = match &name {
        Some(name) => name.parse().ok(),
        None => Some(CertName::Ip(ends.local)),
    };
    let policy = policies.policy(named.as_ref());
    let Some(held) = choose(&start, &name, named.as_ref(), ends, policies).await else {
        let StartHandshake { mut io, .. } = start;
        let said = async {
            io.write_all(&UNRECOGNIZED_NAME).await?;
            io.shutdown().await
        };
        let _ = timeout(left, said).await;
        let name = name.as_deref().unwrap_or("a client that names no host");
        let why = format!("no certificate for {name}");
        return Err(Failed(HandshakeResult::UnknownName, why));
    };
    let config = policy.with(Arc::clone(&held.key));
    let rest = timeout(left, start.into_stream(config)).await;
    let stream = rest.map_err(late)?.map_err(|error| failed(&error))?;
    let facts = facts(&stream, name, policy.id);
    Ok((Secured::new(stream), facts))
}

/// Certificate for a hello; waits for one that is on its way.
async fn choose(
    start: &StartHandshake<TcpStream>,
    name: &Option<String>,
    named: Option<&CertName>,
    ends: Ends,
    policies: &TlsPolicies,
) -> Option<Arc<Held>> {
    let find = || {
        let hello = start.client_hello();
        let schemes = hello.signature_schemes();
        policies.certificate(name.as_deref(), ends.local, schemes)
    };
    let shared = &policies.shared;
    let mut held = find();
    // Nobody asks for an address on demand: every scanner would.
    let may_come = |named: &&CertName| name.is_some() || shared.awaited.expects(named);
    if held.is_none()
        && let Some(named) = named.filter(may_come)
    {
        let awaited = &shared.awaited;
        let arrival = awaited.arrival(named, ends.client, &shared.certificates);
        if Box::pin(arrival).await {
            held = find();
        }
    }
    held.or_else(|| policies.default_certificate())
}

/// Shows an authority the certificate of a challenge. The handshake is all that it wants.
async fn prove(
    start: StartHandshake<TcpStream>,
    name: Option<String>,
    policies: &TlsPolicies,
    left: Duration,
) -> Result<(Secured, TlsFacts), Failed> {
    let name = name.unwrap_or_default();
    let Some(config) = policies.challenge(&name) else {
        let why = format!("no challenge for {name}");
        return Err(Failed(HandshakeResult::UnknownName, why));
    };
    let proof = async {
        let mut stream = start.into_stream(config).await?;
        stream.shutdown().await
    };
    match timeout(left, proof).await {
        Ok(Ok(())) => {
            let why = format!("answered a challenge for {name}");
            Err(Failed(HandshakeResult::Challenge, why))
        }
        Ok(Err(error)) => Err(failed(&error)),
        Err(_) => Err(Failed(HandshakeResult::Timeout, "in a challenge".into())),
    }
}

fn failed(error: &io::Error) -> Failed {
    let inner = error.get_ref();
    let tls = inner.and_then(|inner| inner.downcast_ref::<TlsError>());
    let result = match tls {
        None => HandshakeResult::Closed,
        Some(TlsError::NoCertificatesPresented | TlsError::InvalidCertificate(_)) => {
            HandshakeResult::ClientCertificate
        }
        Some(TlsError::InvalidMessage(_)) => HandshakeResult::NotTls,
        Some(_) => HandshakeResult::Refused,
    };
    Failed(result, error.to_string())
}

fn facts(stream: &TlsStream<TcpStream>, name: Option<String>, policy: PolicyId) -> TlsFacts {
    let session = stream.get_ref().1;
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    TlsFacts {
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        },
        protocol: match session.alpn_protocol() {
            Some(b"h2") => Protocol::H2,
            _ => Protocol::Http1,
        },
        name: name.map(String::into_boxed_str),
        policy,
        client: leaf.and_then(ClientCertificate::of).map(Arc::new),
        is_resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}
