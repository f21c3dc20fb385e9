//! Certificates of clients, as replicas get to know them.

use http::{HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Header with the subject of a client's certificate, as in `CN=robot, O=Example`.
pub const SUBJECT: HeaderName = HeaderName::from_static("x-client-cert-subject");
/// Header with the SHA-256 of a client's certificate, in hexadecimal digits.
pub const FINGERPRINT: HeaderName = HeaderName::from_static("x-client-cert-fingerprint");

/// Subjects of certificates that are no longer than this are passed on.
const SUBJECT_BYTES_MAX: usize = 1 << 10;

/// A client's certificate, as the values of two headers.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub subject: HeaderValue,
    pub fingerprint: HeaderValue,
}

impl ClientCertificate {
    /// `None`: the certificate has no subject that a header could carry.
    pub fn of(der: &CertificateDer<'_>) -> Option<ClientCertificate> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let subject = escaped(&parsed.subject().to_string());
        let mut fingerprint = String::with_capacity(64);
        for byte in Sha256::digest(der) {
            let _ = write!(fingerprint, "{byte:02x}");
        }
        Some(ClientCertificate {
            subject: HeaderValue::from_str(&subject).ok()?,
            fingerprint: HeaderValue::from_str(&fingerprint).ok()?,
        })
    }
}

/// Plain ASCII: other characters become `%` and two digits, as in URLs.
fn escaped(subject: &str) -> String {
    let mut escaped = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(byte as char),
            _ => drop(write!(escaped, "%{byte:02X}")),
        }
        if escaped.len() > SUBJECT_BYTES_MAX {
            break;
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    fn certificate(common_name: &str) -> ClientCertificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        let certificate = params.self_signed(&key).unwrap();
        ClientCertificate::of(certificate.der()).unwrap()
    }

    #[test]
    fn a_subject_is_plain_text_whatever_is_in_it() {
        for (name, expected) in [
            ("robot", "CN=robot, O=Example"),
            ("Zoë", "CN=Zo%C3%AB, O=Example"),
            ("a\r\nx-user: root", "CN=a%0D%0Ax-user: root, O=Example"),
            ("100%", "CN=100%25, O=Example"),
        ] {
            assert_eq!(certificate(name).subject, expected);
        }
        let long = certificate(&"x".repeat(4 << 10)).subject;
        assert!(long.len() <= SUBJECT_BYTES_MAX + 3, "{}", long.len());
        assert_eq!(certificate("robot").fingerprint.len(), 64);
    }
}
