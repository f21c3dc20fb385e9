//! Proofs that a name is ours, one for each kind of challenge.

use super::answers::{Answers, Given};
use super::dns::{Published, Resolver, publish};
use super::failure::Failure;
use crate::certs::CertName;
use crate::certs::settings::{AcmeSettings, ChallengeKind};
use instant_acme::KeyAuthorization;

/// Tools that prove control of a name to a CA.
#[derive(Clone)]
pub struct Prover {
    pub answers: Answers,
    pub resolver: Resolver,
}

/// A proof that is there until it is withdrawn.
pub enum Proof {
    Given(Given),
    Published(Box<Published>),
}

impl Prover {
    pub async fn prove(
        &self,
        name: &CertName,
        kind: ChallengeKind,
        token: &str,
        authorization: &KeyAuthorization,
        settings: &AcmeSettings,
    ) -> Result<Proof, Failure> {
        match kind {
            ChallengeKind::Http01 => {
                let given = self.answers.http(token, authorization.as_str())?;
                Ok(Proof::Given(given))
            }
            ChallengeKind::TlsAlpn01 => {
                let digest = authorization.digest();
                let given = self.answers.alpn(name, digest.as_ref())?;
                Ok(Proof::Given(given))
            }
            ChallengeKind::Dns01 => {
                let dns = settings.dns.as_ref().ok_or_else(|| {
                    Failure::new("dns-01 needs a provider; set `tls.dns: { provider: … }`")
                })?;
                let value = authorization.dns_value();
                let published = publish(dns, &self.resolver, name, &value).await?;
                Ok(Proof::Published(Box::new(published)))
            }
        }
    }
}

impl Proof {
    pub async fn withdraw(self) {
        match self {
            Proof::Given(given) => given.withdraw(),
            Proof::Published(published) => published.withdraw().await,
        }
    }
}

/// Kinds of challenges with which `name` can be proven, in the order of the configuration.
pub fn kinds(name: &CertName, settings: &AcmeSettings) -> Vec<ChallengeKind> {
    let suits = |kind: &ChallengeKind| match name {
        CertName::Wildcard(_) => *kind == ChallengeKind::Dns01,
        CertName::Ip(_) => *kind != ChallengeKind::Dns01,
        CertName::Dns(_) => true,
    };
    settings.challenges.iter().copied().filter(suits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::testing::settings;
    use ChallengeKind::{Dns01, Http01, TlsAlpn01};

    #[test]
    fn each_name_has_the_challenges_that_suit_it() {
        let mut settings = settings();
        settings.challenges = vec![Http01, Dns01, TlsAlpn01];
        for (name, expected) in [
            ("a.example.com", &[Http01, Dns01, TlsAlpn01][..]),
            ("*.example.com", &[Dns01]),
            ("203.0.113.1", &[Http01, TlsAlpn01]),
        ] {
            assert_eq!(kinds(&name.parse().unwrap(), &settings), expected, "{name}");
        }
    }
}
