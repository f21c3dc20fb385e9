//! The checked form of the keys below `tls`.

use super::name::CertName;
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// TLS of the edge: its listeners, its certificates and their rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    pub listen: Vec<SocketAddr>,
    /// The user's own files, in the order of the configuration.
    pub certificates: Vec<CertificateFiles>,
    pub acme: AcmeSettings,
    /// Answers requests in clear with a redirect where a certificate is there.
    pub redirect: bool,
    pub hsts: Option<Hsts>,
    pub min_version: MinVersion,
    pub unknown_name: UnknownName,
    pub client_auth: Vec<ClientAuth>,
}

/// Certificates that are ordered, or made by the local authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcmeSettings {
    /// Contact of the accounts. Without it and without another key that asks for certificates,
    /// none are ordered.
    pub email: Option<String>,
    /// Whether a certificate is wanted for each host of a route that no file covers.
    pub for_routes: bool,
    /// Authorities, each tried when those before it failed. Never empty.
    pub ca: Vec<Ca>,
    /// PEM of the root behind a private authority's own HTTPS.
    pub ca_root: Option<PathBuf>,
    pub eab: Option<ExternalAccount>,
    pub profile: Option<String>,
    /// Kinds of challenges, in the order in which they are tried. Never empty.
    pub challenges: Vec<ChallengeKind>,
    pub dns: Option<DnsSettings>,
    /// Names beyond those of routes.
    pub hosts: Vec<CertName>,
    pub on_demand: Option<OnDemandSettings>,
    /// Resolvers that are asked where the internet's view of names counts; empty: the system's.
    pub resolvers: Vec<SocketAddr>,
    pub challenge_ports: ChallengePorts,
}

/// Ports at which authorities ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChallengePorts {
    pub http: u16,
    pub tls: u16,
}

impl Default for ChallengePorts {
    fn default() -> ChallengePorts {
        ChallengePorts { http: 80, tls: 443 }
    }
}

impl AcmeSettings {
    /// Settings without TLS, with which nothing is ordered.
    pub fn nothing() -> AcmeSettings {
        AcmeSettings {
            email: None,
            for_routes: false,
            ca: vec![Ca::LetsEncrypt],
            ca_root: None,
            eab: None,
            profile: None,
            challenges: vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
            dns: None,
            hosts: Vec::new(),
            on_demand: None,
            resolvers: Vec::new(),
            challenge_ports: ChallengePorts::default(),
        }
    }

    /// Whether every certificate comes from the authority in the state folder.
    pub fn is_local(&self) -> bool {
        self.ca.iter().all(|ca| *ca == Ca::Local)
    }
}

/// A certificate and its key in two files, or in the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// A certificate authority.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ca {
    LetsEncrypt,
    LetsEncryptStaging,
    ZeroSsl,
    Google,
    /// The authority in the state folder.
    Local,
    /// URL of another one's directory.
    Directory(String),
}

impl Ca {
    /// Authorities that have a name in the configuration.
    pub const NAMED: [Ca; 5] = [
        Ca::LetsEncrypt,
        Ca::LetsEncryptStaging,
        Ca::ZeroSsl,
        Ca::Google,
        Ca::Local,
    ];

    /// Name in the configuration, or the URL.
    pub fn label(&self) -> &str {
        match self {
            Ca::LetsEncrypt => "letsencrypt",
            Ca::LetsEncryptStaging => "letsencrypt-staging",
            Ca::ZeroSsl => "zerossl",
            Ca::Google => "google",
            Ca::Local => "local",
            Ca::Directory(url) => url,
        }
    }

    /// The authority's twin for tests, whose certificates nobody trusts.
    pub fn staging(&self) -> Option<Ca> {
        match self {
            Ca::LetsEncrypt => Some(Ca::LetsEncryptStaging),
            _ => None,
        }
    }

    /// URL of the ACME directory; the local authority has none.
    pub fn directory(&self) -> Option<&str> {
        match self {
            Ca::LetsEncrypt => Some("https://acme-v02.api.letsencrypt.org/directory"),
            Ca::LetsEncryptStaging => {
                Some("https://acme-staging-v02.api.letsencrypt.org/directory")
            }
            Ca::ZeroSsl => Some("https://acme.zerossl.com/v2/DV90"),
            Ca::Google => Some("https://dv.acme-v02.api.pki.goog/directory"),
            Ca::Local => None,
            Ca::Directory(url) => Some(url),
        }
    }
}

impl fmt::Display for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// An account at the authority's owner that new ACME accounts are bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalAccount {
    pub key_id: String,
    /// File with the key, as base64url.
    pub hmac_key_file: PathBuf,
}

/// A kind of proof that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChallengeKind {
    TlsAlpn01,
    Http01,
    Dns01,
}

impl ChallengeKind {
    pub const ALL: [ChallengeKind; 3] = [
        ChallengeKind::TlsAlpn01,
        ChallengeKind::Http01,
        ChallengeKind::Dns01,
    ];

    pub fn label(self) -> &'static str {
        match self {
            ChallengeKind::TlsAlpn01 => "tls-alpn-01",
            ChallengeKind::Http01 => "http-01",
            ChallengeKind::Dns01 => "dns-01",
        }
    }
}

/// The DNS provider that DNS-01 writes to. `Debug` shows no value, because any may be a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct DnsSettings {
    pub provider: String,
    /// The provider's own keys.
    pub keys: BTreeMap<String, String>,
}

impl fmt::Debug for DnsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.keys().collect();
        f.debug_struct("DnsSettings")
            .field("provider", &self.provider)
            .field("keys", &keys)
            .finish()
    }
}

/// Certificates for names that clients ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDemandSettings {
    /// URL that allows a name with a status of 2xx.
    pub ask: String,
}

/// `Strict-Transport-Security` of answers over TLS (RFC 6797).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hsts {
    pub max_age: Duration,
    pub include_subdomains: bool,
    pub preload: bool,
}

impl fmt::Display for Hsts {
    /// Value of the header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max-age={}", self.max_age.as_secs())?;
        if self.include_subdomains {
            f.write_str("; includeSubDomains")?;
        }
        if self.preload {
            f.write_str("; preload")?;
        }
        Ok(())
    }
}

/// The oldest version of TLS that clients may speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    #[default]
    Tls12,
    Tls13,
}

/// Treatment of clients that name a host without a certificate, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownName {
    /// Ends the handshake with the alert `unrecognized_name`.
    #[default]
    Refuse,
    /// Serves the first certificate.
    Default,
}

/// Hosts whose clients show a certificate of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Certificates of the authorities that issue clients' certificates.
    pub roots: Vec<CertificateDer<'static>>,
    pub mode: ClientAuthMode,
    /// Hosts, or every host where this is empty.
    pub hosts: Vec<CertName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthMode {
    /// Clients without a certificate get no connection.
    Require,
    /// Clients may go without.
    Request,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_dns_provider_are_not_shown() {
        let dns = DnsSettings {
            provider: "cloudflare".to_owned(),
            keys: BTreeMap::from([("token".to_owned(), "s3cret".to_owned())]),
        };
        let shown = format!("{dns:?}");
        assert!(
            shown.contains("token") && !shown.contains("s3cret"),
            "{shown}"
        );
    }

    #[test]
    fn hsts_is_written_as_browsers_read_it() {
        let mut hsts = Hsts {
            max_age: Duration::from_secs(31_536_000),
            include_subdomains: false,
            preload: false,
        };
        assert_eq!(hsts.to_string(), "max-age=31536000");
        (hsts.include_subdomains, hsts.preload) = (true, true);
        let expected = "max-age=31536000; includeSubDomains; preload";
        assert_eq!(hsts.to_string(), expected);
    }
}
