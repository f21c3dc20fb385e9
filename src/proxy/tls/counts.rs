//! Counters of handshakes, by how they ended.

use super::facts::TlsVersion;
use std::sync::atomic::{AtomicU64, Ordering};

/// End of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum HandshakeResult {
    /// Complete, with a certificate.
    Full,
    /// Complete, with a ticket of an earlier one.
    Resumed,
    /// Complete, for a certificate authority that checks a challenge.
    Challenge,
    /// The client named a host without a certificate, or none.
    UnknownName,
    /// The client's certificate is missing, expired or issued by somebody else.
    ClientCertificate,
    /// Client and edge share no version, cipher or protocol, or the client refused the certificate.
    Refused,
    /// Plain HTTP, which got an answer in clear.
    PlainHttp,
    /// Bytes of some other protocol.
    NotTls,
    /// Not complete within `timeouts.header`.
    Timeout,
    /// The client closed the connection.
    Closed,
    /// Given up for newer ones, because too many were incomplete at once.
    Crowded,
}

impl HandshakeResult {
    pub const ALL: [HandshakeResult; 11] = [
        HandshakeResult::Full,
        HandshakeResult::Resumed,
        HandshakeResult::Challenge,
        HandshakeResult::UnknownName,
        HandshakeResult::ClientCertificate,
        HandshakeResult::Refused,
        HandshakeResult::PlainHttp,
        HandshakeResult::NotTls,
        HandshakeResult::Timeout,
        HandshakeResult::Closed,
        HandshakeResult::Crowded,
    ];

    /// Value of the metrics' label `result`.
    pub fn label(self) -> &'static str {
        match self {
            HandshakeResult::Full => "full",
            HandshakeResult::Resumed => "resumed",
            HandshakeResult::Challenge => "challenge",
            HandshakeResult::UnknownName => "unknown_name",
            HandshakeResult::ClientCertificate => "client_certificate",
            HandshakeResult::Refused => "refused",
            HandshakeResult::PlainHttp => "plain_http",
            HandshakeResult::NotTls => "not_tls",
            HandshakeResult::Timeout => "timeout",
            HandshakeResult::Closed => "closed",
            HandshakeResult::Crowded => "crowded",
        }
    }
}

const VERSIONS: [Option<TlsVersion>; 3] = [None, Some(TlsVersion::Tls12), Some(TlsVersion::Tls13)];

/// Counts of handshakes since the process began.
#[derive(Debug, Default)]
pub struct HandshakeCounts([[AtomicU64; VERSIONS.len()]; HandshakeResult::ALL.len()]);

impl HandshakeCounts {
    /// Counts one; `version` is `None` where none was agreed on.
    pub fn add(&self, result: HandshakeResult, version: Option<TlsVersion>) {
        let place = VERSIONS.iter().position(|known| *known == version);
        let count = &self.0[result as usize][place.unwrap_or_default()];
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// All counts that are not zero, by the labels `result` and `version`.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        HandshakeResult::ALL.into_iter().flat_map(|result| {
            let counts = self.0[result as usize].iter().zip(VERSIONS);
            counts.filter_map(move |(count, version)| {
                let count = count.load(Ordering::Relaxed);
                let version = version.map_or("none", TlsVersion::label);
                (count > 0).then_some((result.label(), version, count))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_counted_under_its_own_label() {
        let counts = HandshakeCounts::default();
        for result in HandshakeResult::ALL {
            counts.add(result, None);
        }
        counts.add(HandshakeResult::Full, Some(TlsVersion::Tls13));
        counts.add(HandshakeResult::Full, Some(TlsVersion::Tls13));
        let all: Vec<_> = counts.all().collect();
        assert_eq!(all.len(), HandshakeResult::ALL.len() + 1);
        assert!(all.contains(&("full", "1.3", 2)));
        assert!(all.contains(&("crowded", "none", 1)));
    }
}
