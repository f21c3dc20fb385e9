//! Identities of policies for clients' certificates.

use crate::certs::settings::ClientAuth;
use sha2::{Digest, Sha256};

/// Identity of a policy for clients' certificates: its authorities and its mode. Equal policies of
/// two configurations have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyId(pub [u8; 32]);

impl PolicyId {
    /// Clients are asked for nothing.
    pub const ANYBODY: PolicyId = PolicyId([0; 32]);

    pub fn of(auth: &ClientAuth) -> PolicyId {
        let mut hash = Sha256::new();
        hash.update([auth.mode as u8]);
        for root in &auth.roots {
            hash.update((root.len() as u64).to_be_bytes());
            hash.update(root);
        }
        PolicyId(hash.finalize().into())
    }
}
