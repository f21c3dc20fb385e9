//! The local CA: a root in the state folder, for names that no public CA certifies.

use super::store::Store;
use crate::certs::{CertName, CertificateSource, Held};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use x509_parser::prelude::{FromDer, X509Certificate};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ROOT_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Short, because a lost key of a machine at home is revoked by nobody.
const LEAF_LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A new root is made when the old one ends before a certificate would.
const ROOT_ENDS_SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Clocks of clients may be somewhat behind.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// The local CA, ready to issue.
pub struct LocalCa {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    until: SystemTime,
}

impl LocalCa {
    /// The CA in the state folder, or a new one. A broken file is set aside.
    pub fn open(store: &Store, now: SystemTime) -> Result<LocalCa, String> {
        let kept = store
            .local_ca()
            .map_err(|error| format!("the local CA cannot be read: {error}"))?;
        match kept.as_deref().map(LocalCa::from_pem) {
            Some(Ok(ca)) if !ca.ends_soon(now) => return Ok(ca),
            Some(Ok(_)) => log::warn!(
                "the root of the local CA ends soon, so there is a new one; trust it with \
                 `tidegate trust`"
            ),
            Some(Err(why)) => store.set_local_ca_aside(&why),
            None => {}
        }
        let pem = make(now).map_err(|error| format!("the local CA cannot be made: {error}"))?;
        store.keep_local_ca(&pem).map_err(|error| {
            format!("the local CA cannot be written to the state folder: {error}")
        })?;
        log::info!("made a local CA; `tidegate trust` makes this machine trust it");
        LocalCa::from_pem(&pem)
    }

    fn from_pem(pem: &str) -> Result<LocalCa, String> {
        let root = CertificateDer::from_pem_slice(pem.as_bytes());
        let root = root.map_err(|error| format!("no certificate in it: {error:?}"))?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes());
        let key = key.map_err(|error| format!("no key in it: {error:?}"))?;
        let key = KeyPair::try_from(&key).map_err(|error| error.to_string())?;
        let (_, parsed) = X509Certificate::from_der(&root).map_err(|error| error.to_string())?;
        let until = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or_default();
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(until);
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err("its key belongs to another certificate".to_owned());
        }
        let issuer = Issuer::from_ca_cert_der(&root, key).map_err(|error| error.to_string())?;
        Ok(LocalCa {
            root,
            issuer,
            until,
        })
    }

    /// Whether a new root is due.
    pub fn ends_soon(&self, now: SystemTime) -> bool {
        self.until <= now + ROOT_ENDS_SOON
    }

    /// A certificate for `name`.
    pub fn issue(&self, name: &CertName, now: SystemTime) -> Result<Arc<Held>, String> {
        let explain = |error: rcgen::Error| format!("the local CA cannot issue: {error}");
        let mut params = CertificateParams::new(vec![name.to_string()]).map_err(explain)?;
        params.not_before = (now - BACKDATED).into();
        params.not_after = (now + LEAF_LIFETIME).min(self.until).into();
        params.distinguished_name = DistinguishedName::new();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(explain)?;
        let leaf = params.signed_by(&key, &self.issuer).map_err(explain)?;
        let chain = vec![leaf.der().clone(), self.root.clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let held = Held::from_der(chain, key, CertificateSource::Local);
        held.map(Arc::new).map_err(|error| error.to_string())
    }
}

/// Root and key as PEM.
fn make(now: SystemTime) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.not_before = (now - DAY).into();
    params.not_after = (now + ROOT_LIFETIME).into();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Tidegate");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let common_name = format!("Tidegate local CA on {}", host.trim());
    name.push(DnType::CommonName, common_name);
    params.distinguished_name = name;
    let root = params.self_signed(&key)?;
    Ok(format!("{}{}", root.pem(), key.serialize_pem()))
}

/// The root's certificate alone, as PEM; `None`: there is no local CA yet.
pub fn root_pem(store: &Store) -> std::io::Result<Option<String>> {
    let Some(pem) = store.local_ca()? else {
        return Ok(None);
    };
    let end = "-----END CERTIFICATE-----\n";
    Ok(pem.find(end).map(|at| pem[..at + end.len()].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    fn trusts(root: &str, held: &Held, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
            .unwrap();
        let provider = crate::certs::crypto::provider();
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let chain = &held.key.cert;
        let verifier = verifier.unwrap();
        let now = UnixTime::now();
        verifier
            .verify_server_cert(&chain[0], &chain[1..], &name, &[], now)
            .is_ok()
    }

    #[test]
    fn certificates_of_the_local_ca_are_trusted_with_its_root_and_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert_eq!(root_pem(&store).unwrap(), None);
        let now = SystemTime::now();
        let ca = LocalCa::open(&store, now).unwrap();
        let root = root_pem(&store).unwrap().unwrap();
        assert!(!root.contains("PRIVATE"));
        for (name, asked) in [
            ("app.localhost", "app.localhost"),
            ("*.home.arpa", "nas.home.arpa"),
            ("192.168.1.7", "192.168.1.7"),
            ("::1", "::1"),
        ] {
            let name: CertName = name.parse().unwrap();
            let held = ca.issue(&name, now).unwrap();
            assert_eq!(held.names, [name]);
            assert!(trusts(&root, &held, asked), "{asked}");
            assert!(!trusts(&root, &held, "other.localhost"));
        }
        let again = LocalCa::open(&store, now).unwrap();
        assert_eq!(again.root, ca.root);
        // Ten years later.
        let later = LocalCa::open(&store, now + ROOT_LIFETIME).unwrap();
        assert_ne!(later.root, ca.root);
    }

    #[test]
    fn a_broken_ca_is_set_aside_and_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        store.keep_local_ca("half").unwrap();
        LocalCa::open(&store, SystemTime::now()).unwrap();
        assert!(store.root().join("local-ca.pem.bad").exists());
    }
}
