//! The reasons for which a connection is refused.

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// `limits.connections`
    Full,
    /// `limits.connections_per_address`
    FullForAddress,
    /// It came to a listener for proxies, and its address is not one of `trusted_proxies`.
    Untrusted,
    /// The PROXY header is missing, late or wrong.
    ProxyHeader,
}

impl Barrier {
    pub const ALL: [Barrier; 4] = [
        Barrier::Full,
        Barrier::FullForAddress,
        Barrier::Untrusted,
        Barrier::ProxyHeader,
    ];

    /// Its name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Barrier::Full => "full",
            Barrier::FullForAddress => "full_for_address",
            Barrier::Untrusted => "untrusted",
            Barrier::ProxyHeader => "proxy_header",
        }
    }
}
