//! Failures of TLS with a replica, in words.

use rustls::{AlertDescription, CertificateError, Error};
use std::io;

/// The failure in an operator's words, with what to do; `None`: another kind of failure.
pub fn tls_failure(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidCertificate(wrong) => certificate(wrong),
        Error::InvalidMessage(_) => "the replica does not speak TLS".to_owned(),
        Error::NoCertificatesPresented => "the replica shows no certificate".to_owned(),
        Error::AlertReceived(AlertDescription::NoApplicationProtocol)
        | Error::NoApplicationProtocol => {
            "the replica does not speak the protocol that `protocol` names".to_owned()
        }
        Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure),
        ) => format!(
            "the replica refused the handshake ({alert:?}); `upstream_tls.cert` and `key` say \
             which client certificate it is shown"
        ),
        Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the replica does not know the name in `upstream_tls.server_name`".to_owned()
        }
        other => format!("TLS failed: {other}"),
    })
}

fn certificate(wrong: &CertificateError) -> String {
    match wrong {
        // Another authority of the same name makes a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the replica's certificate is not signed by a known \
             authority; `upstream_tls.ca` names the file with the authority's certificate"
                .to_owned()
        }
        CertificateError::NotValidForName => "the replica's certificate is for another name; \
             `upstream_tls.server_name` says which name is expected"
            .to_owned(),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "the replica's certificate is not for `{}` but for {}; `upstream_tls.server_name` \
             says which name is expected",
            expected.to_str(),
            match presented.is_empty() {
                true => "no name".to_owned(),
                false => presented.join(", "),
            }
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the replica's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the replica's certificate is not valid yet".to_owned()
        }
        CertificateError::Revoked => "the replica's certificate was revoked".to_owned(),
        other => format!("the replica's certificate is not accepted: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_says_what_to_do() {
        let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let table = [
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                "`upstream_tls.ca`",
            ),
            (
                Error::InvalidCertificate(CertificateError::NotValidForName),
                "`upstream_tls.server_name`",
            ),
            (
                Error::InvalidCertificate(CertificateError::Expired),
                "has expired",
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                "`upstream_tls.cert`",
            ),
            (
                Error::AlertReceived(AlertDescription::NoApplicationProtocol),
                "`protocol`",
            ),
        ];
        for (error, expected) in table {
            let text = tls_failure(&broken(error)).unwrap();
            assert!(text.contains(expected), "{text}");
        }
        assert_eq!(tls_failure(&io::ErrorKind::ConnectionReset.into()), None);
    }
}
