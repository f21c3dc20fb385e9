//! One attempt to get a certificate: the kind of challenge, the question to ourselves, the order.

use super::failure::Failure;
use super::order::{Errand, Orderer};
use super::proof::kinds;
use super::self_check::check;
use crate::certs::CertName;
use crate::certs::settings::{Ca, ChallengeKind, ChallengePorts};
use instant_acme::CertificateIdentifier;

/// Failures in a row after which the question to ourselves has no veto any more: in some networks a
/// machine never reaches itself by its public name, and the orders are hours apart by then.
const VETO_FAILURES_MAX: u32 = 4;

/// An attempt to get a certificate for a name from a CA.
pub struct Attempt {
    pub name: CertName,
    pub ca: Ca,
    /// Failures in a row before this one.
    pub failures: u32,
    pub replaces: Option<CertificateIdentifier<'static>>,
}

impl Attempt {
    /// Key and chain as PEM.
    pub async fn run(self, orderer: &Orderer, ports: ChallengePorts) -> Result<String, Failure> {
        let kind = self.kind(orderer, ports).await?;
        let errand = Errand {
            name: self.name,
            ca: self.ca,
            kind,
            replaces: self.replaces,
        };
        orderer.obtain(&errand).await
    }

    /// The kind of challenge: each attempt begins with another one, and the first that could work is
    /// taken.
    async fn kind(
        &self,
        orderer: &Orderer,
        ports: ChallengePorts,
    ) -> Result<ChallengeKind, Failure> {
        let mut kinds = kinds(&self.name, &orderer.settings);
        if kinds.is_empty() {
            let why = "none of `tls.challenges` can prove this name; a wildcard takes dns-01, and an \
                       address tls-alpn-01 or http-01";
            return Err(Failure::new(why));
        }
        let first = self.failures as usize % kinds.len();
        kinds.rotate_left(first);
        if self.failures >= VETO_FAILURES_MAX {
            return Ok(kinds[0]);
        }
        let mut refused = Vec::new();
        for kind in kinds {
            match check(&orderer.prover, ports, &self.name, kind).await {
                Ok(()) => return Ok(kind),
                Err(failure) => refused.push(failure.why),
            }
        }
        refused.dedup();
        Err(Failure::new(refused.join("; ")))
    }
}
