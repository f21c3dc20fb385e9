//! A certificate with its key, ready for handshakes.

use super::crypto::provider;
use super::held_error::HeldError;
use super::name::CertName;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, SignatureScheme};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;
use x509_parser::time::ASN1Time;

/// Origin of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// The user's own file.
    File(PathBuf),
    /// An order at a certificate authority, by its name in the configuration or its URL.
    Acme { ca: String },
    /// The authority in the state folder.
    Local,
}

/// A certificate, its chain and its key, and the facts that others want to know of them.
#[derive(Debug)]
pub struct Held {
    pub key: Arc<CertifiedKey>,
    /// Never empty.
    pub names: Vec<CertName>,
    /// Issuer's common name, or its whole name where it has none.
    pub issuer: String,
    /// Hexadecimal digits with colons between bytes.
    pub serial: String,
    pub not_before: SystemTime,
    /// End of the certificate or of the first authority in its chain to end.
    pub not_after: SystemTime,
    pub source: CertificateSource,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
}

impl Held {
    /// Reads a certificate with its chain, and its key. Both texts may be the same.
    pub fn from_pem(
        chain: &[u8],
        key: &[u8],
        source: CertificateSource,
    ) -> Result<Held, HeldError> {
        let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| HeldError::BadCertificate(pem_words(&error)))?;
        let key = match PrivateKeyDer::from_pem_slice(key) {
            Ok(key) => key,
            Err(pem::Error::NoItemsFound) if is_encrypted(key) => {
                return Err(HeldError::EncryptedKey);
            }
            Err(pem::Error::NoItemsFound) => return Err(HeldError::NoKey),
            Err(error) => return Err(HeldError::BadKey(pem_words(&error))),
        };
        Held::from_der(chain, key, source)
    }

    /// Takes a certificate with its chain, the certificate first.
    pub fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        source: CertificateSource,
    ) -> Result<Held, HeldError> {
        let parsed = chain.iter().map(|der| parse(der));
        let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
        let Some(leaf) = parsed.first() else {
            return Err(HeldError::NoCertificate);
        };
        let names = names(leaf);
        if names.is_empty() {
            return Err(HeldError::NoNames);
        }
        let ends = parsed.iter().map(|one| moment(one.validity().not_after));
        let not_after = ends.min().unwrap_or(UNIX_EPOCH);
        let not_before = moment(leaf.validity().not_before);
        let (issuer, serial) = (common_name(leaf), leaf.raw_serial_as_string());
        let fingerprint = Sha256::digest(&chain[0]).into();
        let key = provider().key_provider.load_private_key(key);
        let key = key.map_err(|error| HeldError::BadKey(error.to_string()))?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(HeldError::KeyMismatch),
            Err(error) => return Err(HeldError::BadCertificate(error.to_string())),
        }
        Ok(Held {
            key: Arc::new(key),
            names,
            issuer,
            serial,
            not_before,
            not_after,
            source,
            fingerprint,
        })
    }

    pub fn covers(&self, name: &CertName) -> bool {
        self.names.iter().any(|own| own.covers(name))
    }

    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.not_after <= now
    }

    /// Sentence about a certificate that clients refuse at `now`.
    pub fn warning(&self, now: SystemTime) -> Option<String> {
        let names: Vec<String> = self.names.iter().map(CertName::to_string).collect();
        let names = names.join(", ");
        let shown = humantime::format_rfc3339_seconds;
        if self.is_expired(now) {
            let until = shown(self.not_after);
            return Some(format!(
                "the certificate for {names} has expired: it was good until {until}, and clients \
                 refuse it"
            ));
        }
        (self.not_before > now).then(|| {
            let from = shown(self.not_before);
            format!("the certificate for {names} is good from {from} on, and clients refuse it now")
        })
    }

    /// Whether a client that accepts `schemes` can check this key's signatures.
    pub fn suits(&self, schemes: &[SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }
}

/// Names in a certificate.
pub fn names_of(der: &CertificateDer<'_>) -> Result<Vec<CertName>, HeldError> {
    Ok(names(&parse(der)?))
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, HeldError> {
    use x509_parser::prelude::FromDer;
    match X509Certificate::from_der(der) {
        Ok((_, parsed)) => Ok(parsed),
        Err(error) => Err(HeldError::BadCertificate(error.to_string())),
    }
}

fn names(leaf: &X509Certificate<'_>) -> Vec<CertName> {
    let alternative = leaf.subject_alternative_name().ok().flatten();
    let alternative = alternative.map(|extension| &extension.value.general_names);
    let alternative = alternative.into_iter().flatten();
    // Names that no host can have, as some private authorities write them, count for nothing.
    let names = alternative.filter_map(|name| match name {
        GeneralName::DNSName(name) => name.parse().ok(),
        GeneralName::IPAddress(bytes) => address(bytes).map(CertName::Ip),
        _ => None,
    });
    let mut names: Vec<CertName> = names.collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}

fn common_name(leaf: &X509Certificate<'_>) -> String {
    let mut names = leaf.issuer().iter_common_name();
    let name = names.next().and_then(|name| name.as_str().ok());
    name.map_or_else(|| leaf.issuer().to_string(), str::to_owned)
}

fn moment(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn is_encrypted(key: &[u8]) -> bool {
    let text = String::from_utf8_lossy(key);
    text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")
}

fn pem_words(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "its end is missing".to_owned(),
        pem::Error::Base64Decode(_) => "it is no base64".to_owned(),
        error => format!("{error:?}"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    /// PEM of a new certificate for `names`, and of its key.
    pub fn pem(names: &[&str]) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let certificate = params.self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A certificate for `names`.
    pub fn held(names: &[&str]) -> Arc<Held> {
        let (certificate, key) = pem(names);
        let held = Held::from_pem(
            certificate.as_bytes(),
            key.as_bytes(),
            CertificateSource::Local,
        );
        Arc::new(held.unwrap())
    }

    fn read(certificate: &str, key: &str) -> Result<Held, HeldError> {
        Held::from_pem(
            certificate.as_bytes(),
            key.as_bytes(),
            CertificateSource::Local,
        )
    }

    #[test]
    fn a_certificate_tells_its_names_issuer_and_time() {
        let held = held(&["Example.com", "*.example.com", "192.0.2.1", "example.com"]);
        let names: Vec<String> = held.names.iter().map(CertName::to_string).collect();
        assert_eq!(names, ["example.com", "*.example.com", "192.0.2.1"]);
        assert_eq!(held.issuer, "rcgen self signed cert");
        let year_2040 = UNIX_EPOCH + Duration::from_secs(2_208_988_800);
        assert_eq!(held.not_after, year_2040);
        assert!(!held.is_expired(year_2040 - Duration::from_secs(1)));
        assert!(held.is_expired(year_2040));
        assert_eq!(held.warning(year_2040 - Duration::from_secs(1)), None);
        let expired = held.warning(year_2040).unwrap();
        assert!(expired.contains("has expired: it was good until 2040-01-01"));
        let early = held.warning(UNIX_EPOCH).unwrap();
        assert!(early.contains("is good from 2020-01-01T00:00:00Z on"));
    }

    #[test]
    fn each_defect_has_a_reason_of_its_own() {
        let (certificate, key) = pem(&["example.com"]);
        let (other, other_key) = pem(&["example.org"]);
        let half = &certificate[..certificate.len() / 2];
        let garbled = certificate.replace("MII", "!!!");
        let nameless = pem(&[]);
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE \
                         KEY-----\n";
        for (certificate, key, expected) in [
            ("", &key[..], HeldError::NoCertificate),
            (&key, &key, HeldError::NoCertificate),
            (&certificate, "", HeldError::NoKey),
            (&certificate, &certificate, HeldError::NoKey),
            (&certificate, encrypted, HeldError::EncryptedKey),
            (&certificate, &other_key, HeldError::KeyMismatch),
            (&nameless.0, &nameless.1, HeldError::NoNames),
            (
                half,
                &key,
                HeldError::BadCertificate("its end is missing".to_owned()),
            ),
            (
                &garbled,
                &key,
                HeldError::BadCertificate("it is no base64".to_owned()),
            ),
        ] {
            assert_eq!(read(certificate, key).unwrap_err(), expected);
        }
        let reversed = format!("{other}{certificate}");
        let found = read(&reversed, &key).unwrap_err();
        assert_eq!(found, HeldError::KeyMismatch, "the own one comes first");
    }

    #[test]
    fn one_file_may_hold_both() {
        let (certificate, key) = pem(&["example.com"]);
        let both = format!("{key}{certificate}");
        assert!(read(&both, &both).is_ok());
    }
}
