//! Answers to challenges: given by this process from memory, and by others from the folder.

use super::failure::Failure;
use super::store::{Posted, Store};
use crate::certs::{AnsweredChallenge, CertName, Challenges, crypto};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::net::IpAddr;
use std::sync::Arc;

/// Where answers are put.
#[derive(Clone)]
pub struct Answers {
    pub challenges: Challenges,
    pub store: Store,
}

/// An answer that is given until it is withdrawn. Dropped, it leaves its file, so that the process
/// after an upgrade goes on with the order.
pub struct Given {
    _given: AnsweredChallenge,
    posted: Posted,
    store: Store,
}

impl Answers {
    pub fn http(&self, token: &str, answer: &str) -> Result<Given, Failure> {
        let posted = Posted::Http {
            token: token.to_owned(),
            answer: answer.to_owned(),
        };
        self.give(posted)
    }

    /// `digest`: SHA-256 of the key authorization.
    pub fn alpn(&self, name: &CertName, digest: &[u8]) -> Result<Given, Failure> {
        let pem = alpn_certificate(name, digest)
            .map_err(|error| Failure::new(format!("no certificate for the challenge: {error}")))?;
        let posted = Posted::Alpn {
            name: server_name(name),
            pem,
        };
        self.give(posted)
    }

    fn give(&self, posted: Posted) -> Result<Given, Failure> {
        self.store
            .post(&posted)
            .map_err(|error| Failure::disk("the answer for the CA", &error))?;
        Ok(Given {
            _given: self.answer(&posted).map_err(Failure::new)?,
            posted,
            store: self.store.clone(),
        })
    }

    fn answer(&self, posted: &Posted) -> Result<AnsweredChallenge, String> {
        match posted {
            Posted::Http { token, answer } => Ok(self.challenges.answer_http(token, answer)),
            Posted::Alpn { name, pem } => {
                let key = certified(pem)?;
                Ok(self.challenges.answer_tls(name, key))
            }
        }
    }
}

/// Answers that another process has left in the folder, given by this one as well.
#[derive(Default)]
pub struct Mirror(Vec<(Posted, AnsweredChallenge)>);

impl Mirror {
    /// Gives what is in the folder now, and nothing else.
    pub fn refresh(&mut self, answers: &Answers) {
        let posted = answers.store.posted();
        self.0.retain(|(given, _)| posted.contains(given));
        for one in posted {
            let is_given = self.0.iter().any(|(given, _)| *given == one);
            if !is_given && let Ok(answered) = answers.answer(&one) {
                self.0.push((one, answered));
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Given {
    /// The certificate of an answer to TLS-ALPN-01, as PEM.
    pub fn pem(&self) -> Option<&str> {
        match &self.posted {
            Posted::Alpn { pem, .. } => Some(pem),
            Posted::Http { .. } => None,
        }
    }

    pub fn withdraw(self) {
        self.store.withdraw(&self.posted);
    }
}

/// A self-signed certificate with the digest, and its key (RFC 8737).
fn alpn_certificate(name: &CertName, digest: &[u8]) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(vec![name.to_string()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

/// Not by way of a `Held`: its check refuses the critical extension.
fn certified(pem: &str) -> Result<Arc<CertifiedKey>, String> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes());
    let certificate = certificate.map_err(|error| format!("{error:?}"))?;
    let key =
        PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| format!("{error:?}"))?;
    let provider = crypto::provider();
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| error.to_string())?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate], key)))
}

/// Name in the hello of the CA; for an address its name below `arpa` (RFC 8738).
pub fn server_name(name: &CertName) -> String {
    match name {
        CertName::Dns(name) | CertName::Wildcard(name) => name.clone(),
        CertName::Ip(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        CertName::Ip(IpAddr::V6(address)) => {
            let mut labels = String::new();
            for byte in address.octets().iter().rev() {
                labels.push_str(&format!("{:x}.{:x}.", byte & 0xf, byte >> 4));
            }
            format!("{labels}ip6.arpa")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_one_process_are_given_by_another_until_they_are_withdrawn() {
        let folder = tempfile::tempdir().unwrap();
        let answers = |challenges: &Challenges| Answers {
            challenges: challenges.clone(),
            store: Store::new(folder.path()),
        };
        let (own, other) = (Challenges::default(), Challenges::default());
        let http = answers(&own).http("token", "token.thumb").unwrap();
        let name = "a.test".parse().unwrap();
        let alpn = answers(&own).alpn(&name, &[7; 32]).unwrap();
        assert!(alpn.pem().is_some());
        assert!(own.tls("a.test").is_some());
        let mut mirror = Mirror::default();
        mirror.refresh(&answers(&other));
        mirror.refresh(&answers(&other));
        assert_eq!(other.http("token").as_deref(), Some("token.thumb"));
        assert!(other.tls("a.test").is_some());
        // The old process ends in the middle of its order.
        drop(alpn);
        http.withdraw();
        assert!(own.http("token").is_none());
        mirror.refresh(&answers(&other));
        assert!(other.http("token").is_none());
        assert!(other.tls("a.test").is_some());
        mirror.clear();
        assert!(other.tls("a.test").is_none());
    }

    #[test]
    fn an_address_is_asked_for_by_its_reverse_name() {
        for (name, expected) in [
            ("127.0.0.1", "1.0.0.127.in-addr.arpa"),
            (
                "2001:db8::1",
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
            ),
            ("a.test", "a.test"),
        ] {
            assert_eq!(server_name(&name.parse().unwrap()), expected);
        }
    }
}
