//! Reasons for which a certificate and its key cannot be used.

use std::fmt;

/// Defect of a certificate or of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldError {
    /// No `BEGIN CERTIFICATE` in the text.
    NoCertificate,
    /// A certificate that cannot be read, with the parser's words.
    BadCertificate(String),
    /// No `BEGIN PRIVATE KEY` in the text.
    NoKey,
    /// A key that is encrypted with a passphrase.
    EncryptedKey,
    /// A key that cannot be read, or of a kind that TLS does not use.
    BadKey(String),
    /// The key belongs to another certificate.
    KeyMismatch,
    /// No DNS name and no IP address in the certificate.
    NoNames,
}

impl HeldError {
    /// Whether the key's text has the defect, and not the certificate's.
    pub fn is_about_key(&self) -> bool {
        use HeldError::{BadKey, EncryptedKey, KeyMismatch, NoKey};
        matches!(self, NoKey | EncryptedKey | BadKey(_) | KeyMismatch)
    }

    /// Advice to the user.
    pub fn hint(&self) -> &'static str {
        match self {
            HeldError::NoCertificate => {
                "expected PEM: `-----BEGIN CERTIFICATE-----`, the server's certificate first, \
                 then the authorities between it and the root"
            }
            HeldError::BadCertificate(_) => "compare with `openssl x509 -in FILE -noout -text`",
            HeldError::NoKey => "expected PEM: `-----BEGIN PRIVATE KEY-----`",
            HeldError::EncryptedKey => {
                "take the passphrase off: `openssl pkey -in KEY -out NEW_KEY`, mode 0600"
            }
            HeldError::BadKey(_) => "expected an ECDSA (P-256, P-384), Ed25519 or RSA key",
            HeldError::KeyMismatch => {
                "name the key that the certificate was requested with, and put the server's \
                 certificate first; `openssl x509 -in CERT -noout -pubkey` and `openssl pkey -in \
                 KEY -pubout` must agree"
            }
            HeldError::NoNames => {
                "clients ignore the common name; request a certificate with subject alternative \
                 names"
            }
        }
    }
}

impl fmt::Display for HeldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeldError::NoCertificate => f.write_str("no certificate in it"),
            HeldError::BadCertificate(why) => write!(f, "the certificate is damaged: {why}"),
            HeldError::NoKey => f.write_str("no private key in it"),
            HeldError::EncryptedKey => f.write_str("the key is protected by a passphrase"),
            HeldError::BadKey(why) => write!(f, "the key cannot be used: {why}"),
            HeldError::KeyMismatch => f.write_str("the key does not belong to the certificate"),
            HeldError::NoNames => f.write_str("the certificate has no names"),
        }
    }
}

impl std::error::Error for HeldError {}
