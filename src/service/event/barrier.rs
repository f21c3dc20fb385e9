//! The reasons for which a connection is refused.

/// The limit or rule that refused a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// `limits.connections` is reached.
    Full,
    /// `limits.connections_per_address` is reached.
    FullForAddress,
    /// A client of a PROXY listener that is not one of `trusted_proxies`.
    Untrusted,
    /// A PROXY header that is missing, late or wrong.
    ProxyHeader,
}

impl Barrier {
    pub const ALL: [Barrier; 4] = [
        Barrier::Full,
        Barrier::FullForAddress,
        Barrier::Untrusted,
        Barrier::ProxyHeader,
    ];

    /// Value of the metrics' label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Barrier::Full => "full",
            Barrier::FullForAddress => "full_for_address",
            Barrier::Untrusted => "untrusted",
            Barrier::ProxyHeader => "proxy_header",
        }
    }
}
