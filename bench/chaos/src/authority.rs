//! An authority whose certificates the edge shows, and the client trusts.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Name of the edge.
pub const NAME: &str = "localhost";
/// Names of its files.
pub const CERTIFICATE: &str = "edge.pem";
pub const KEY: &str = "edge.key";

pub struct Authority {
    root: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Result<Authority, String> {
        let made = || {
            let key = KeyPair::generate()?;
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, "chaos");
            let certificate = params.self_signed(&key)?;
            Ok(Authority {
                root: certificate.der().clone(),
                issuer: Issuer::new(params, key),
            })
        };
        made().map_err(|why: rcgen::Error| format!("an authority: {why}"))
    }

    /// Writes a new certificate and its key; the edge reads them when both are there.
    pub fn write(&self, folder: &Path) -> Result<(), String> {
        let made = || {
            let key = KeyPair::generate()?;
            let params = CertificateParams::new(vec![NAME.to_owned()])?;
            let certificate = params.signed_by(&key, &self.issuer)?;
            Ok((certificate.pem(), key.serialize_pem()))
        };
        let (certificate, key) =
            made().map_err(|why: rcgen::Error| format!("a certificate: {why}"))?;
        let written = fs::write(folder.join(CERTIFICATE), certificate)
            .and_then(|()| fs::write(folder.join(KEY), key));
        written.map_err(|why| format!("writing a certificate: {why}"))
    }

    /// Settings of a client of HTTP/2.
    pub fn client(&self) -> Result<Arc<ClientConfig>, String> {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.root.clone())
            .map_err(|why| why.to_string())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| why.to_string())?;
        let mut config = versions.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}
