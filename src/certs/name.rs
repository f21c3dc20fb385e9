//! Names in certificates: DNS names, wildcards and IP addresses, in one spelling.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Bytes of the longest DNS name.
const NAME_BYTES_MAX: usize = 253;
/// Bytes of the longest label of a DNS name.
const LABEL_BYTES_MAX: usize = 63;
/// Top-level names that nobody can register, and hence no public authority certifies.
const PRIVATE: [&str; 5] = ["localhost", "internal", "test", "home.arpa", "local"];

/// A name that a certificate can hold. Names compare equal in every spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertName {
    /// `www.example.com`: lower case, without a final dot.
    Dns(String),
    /// `*.example.com`, kept as `example.com`; the `*` stands for exactly one label.
    Wildcard(String),
    Ip(IpAddr),
}

/// A text that is no name of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAName;

impl CertName {
    /// Whether a certificate for this name is good for `other` as well.
    pub fn covers(&self, other: &CertName) -> bool {
        match (self, other) {
            (CertName::Wildcard(parent), CertName::Dns(name)) => {
                name.split_once('.').is_some_and(|(_, rest)| rest == parent)
            }
            _ => self == other,
        }
    }

    /// Whether only a local authority can certify the name: `localhost`, names below a private
    /// top-level name, and addresses that are not routed on the internet.
    pub fn is_private(&self) -> bool {
        match self {
            CertName::Dns(name) | CertName::Wildcard(name) => is_private_name(name),
            CertName::Ip(address) => is_private_address(*address),
        }
    }

    pub fn is_wildcard(&self) -> bool {
        matches!(self, CertName::Wildcard(_))
    }

    /// Spelling for names of files and folders: `_wildcard.example.com` in place of `*`, and `-` in
    /// place of the colons of an address.
    pub fn file_name(&self) -> String {
        match self {
            CertName::Dns(name) => name.clone(),
            CertName::Wildcard(parent) => format!("_wildcard.{parent}"),
            CertName::Ip(address) => address.to_string().replace(':', "-"),
        }
    }
}

fn is_private_name(name: &str) -> bool {
    let is_below = |private: &str| {
        let rest = name.strip_suffix(private);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    PRIVATE.into_iter().any(is_below)
}

fn is_private_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

impl FromStr for CertName {
    type Err = NotAName;

    /// Reads `www.example.com`, `*.example.com`, `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`.
    fn from_str(text: &str) -> Result<CertName, NotAName> {
        if let Some(address) = address(text) {
            return Ok(CertName::Ip(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        match name.strip_prefix("*.") {
            // A wildcard of one label would certify a whole top-level name.
            Some(parent) if is_dns_name(parent) => Ok(CertName::Wildcard(parent.to_owned())),
            None if is_dns_name(&name) => Ok(CertName::Dns(name)),
            _ => Err(NotAName),
        }
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    // A last label of digits would be taken for an address.
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label) && !is_number
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertName::Dns(name) => f.write_str(name),
            CertName::Wildcard(parent) => write!(f, "*.{parent}"),
            CertName::Ip(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for NotAName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a host name, a wildcard such as `*.example.com` or an IP address")
    }
}

impl std::error::Error for NotAName {}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CertName {
        text.parse().unwrap()
    }

    #[test]
    fn every_spelling_of_a_name_is_the_same_name() {
        for (text, expected) in [
            ("WWW.Example.COM.", "www.example.com"),
            ("*.Example.com", "*.example.com"),
            ("localhost", "localhost"),
            ("_acme.example.com", "_acme.example.com"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("2001:db8:0::1", "2001:db8::1"),
        ] {
            assert_eq!(name(text).to_string(), expected);
        }
    }

    #[test]
    fn anything_else_is_no_name() {
        let long = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            ".",
            "*",
            "*.",
            "a..b",
            "-a.com",
            "a-.com",
            "a b.com",
            "www.*.com",
            "*.*.com",
            "1.2.3.4.5",
            "1.2.3",
            "a.com:443",
            "http://a.com",
            "[192.0.2.1]",
            &long,
        ] {
            assert_eq!(text.parse::<CertName>(), Err(NotAName), "{text}");
        }
    }

    #[test]
    fn a_wildcard_covers_exactly_one_label() {
        for (certificate, host, covered) in [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", "*.example.com", true),
            ("example.com", "*.example.com", false),
            ("example.com", "example.com", true),
            ("192.0.2.1", "192.0.2.1", true),
        ] {
            let covers = name(certificate).covers(&name(host));
            assert_eq!(covers, covered, "{certificate} {host}");
        }
    }

    #[test]
    fn a_private_name_is_one_that_no_public_authority_certifies() {
        for (text, private) in [
            ("localhost", true),
            ("app.localhost", true),
            ("db.internal", true),
            ("*.test", true),
            ("nas.home.arpa", true),
            ("printer.local", true),
            ("mylocalhost", false),
            ("local.example.com", false),
            ("home.example", false),
            ("10.1.2.3", true),
            ("100.64.0.1", true),
            ("169.254.1.1", true),
            ("::1", true),
            ("fd00::1", true),
            ("::ffff:192.168.0.1", true),
            ("203.0.113.1", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(name(text).is_private(), private, "{text}");
        }
    }
}
