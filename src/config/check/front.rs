//! Who may knock, how often, and whose word counts.

use super::service::addresses;
use super::value::{Fault, count, size};
use crate::config::error::At;
use crate::config::raw::{self, Scalar};
use crate::config::{Limits, Service};
use crate::service::network::Network;
use crate::service::spec::Source;
use serde_yaml::{Mapping, Value};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A head is a packet or two; a phone in a tunnel gets a few retransmissions.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTIONS_MAX: u32 = 1_000_000;
/// Browsers send about twenty.
const HEADERS: u32 = 100;
/// Pingora parses no more.
const HEADERS_MAX: u32 = 256;
/// What most servers take, and more than any browser's address bar is used for.
const TARGET_BYTES: u64 = 8 << 10;
const TARGET_BYTES_MIN: u64 = 256;
const TARGET_BYTES_MAX: u64 = 1 << 20;
/// A hundredth of what the slowest phone network gives.
const MIN_RATE_BYTES: u64 = 500;
const MIN_RATE_BYTES_MAX: u64 = 1 << 20;
const TRUSTED_MAX: usize = 1000;

pub struct Front {
    pub limits: Limits,
    pub trusted_proxies: Vec<Network>,
    pub proxy_protocol: Vec<SocketAddr>,
}

/// `None` when there was a problem; every one is reported.
pub fn front(
    at: &At<'_>,
    limits_typed: Option<Mapping>,
    trusted: Option<Vec<Value>>,
    proxy_protocol: Option<Vec<Value>>,
    listen: &[SocketAddr],
) -> Option<Front> {
    let limits = limits(&at.key("limits"), limits_typed);
    let trusted_proxies = networks(&at.key("trusted_proxies"), trusted.unwrap_or_default());
    let typed = proxy_protocol.unwrap_or_default();
    let in_protocol = at.key("proxy_protocol");
    let proxy_protocol = addresses(&in_protocol, &typed, |at, address| {
        if !listen.contains(&address) {
            at.error_hint(
                format!("`{address}` is not listed under `listen`"),
                "write it as it stands there",
            );
        }
    });
    if !proxy_protocol.is_empty() && trusted_proxies.is_empty() {
        in_protocol.error_hint(
            "nobody is trusted to send a PROXY header, so every connection there is refused",
            "name the proxies, as in `trusted_proxies: [\"10.0.0.0/8\"]`",
        );
    }
    Some(Front {
        limits: limits?,
        trusted_proxies,
        proxy_protocol,
    })
}

/// Reports addresses of services where Tidegate itself listens: requests would go round for ever,
/// or reach the admin API, which is nobody's business out there.
pub fn loops(at: &At<'_>, services: &[Service], ours: &[SocketAddr]) {
    let own = own_addresses();
    for service in services {
        let Source::Addresses(addresses) = &service.spec.source else {
            continue;
        };
        let in_addresses = at.key(service.spec.name.as_str()).key("addresses");
        for address in addresses
            .iter()
            .filter(|address| !address.ip().is_unspecified())
        {
            let is_ours = |ours: &SocketAddr| {
                let is_own = address.ip().is_loopback() || own.contains(&address.ip());
                let is_here = ours.ip().is_unspecified() && is_own;
                ours.port() == address.port() && (is_here || ours.ip() == address.ip())
            };
            if ours.iter().any(is_ours) {
                in_addresses.error_hint(
                    format!("at `{address}` Tidegate itself listens"),
                    "name the server that is to answer",
                );
            }
        }
    }
}

/// The addresses of this machine's interfaces; none where the system does not tell.
fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| address.ip().into());
        v4.or_else(|| Some(address.as_sockaddr_in6()?.ip().into()))
    };
    interfaces.filter_map(address).collect()
}

fn limits(at: &At<'_>, typed: Option<Mapping>) -> Option<Limits> {
    let raw: raw::Limits = at.shape(Value::Mapping(typed.unwrap_or_default()));
    let connections = |key, typed: &Option<Scalar>| {
        let read = at.optional(key, typed.as_ref(), count(1..=CONNECTIONS_MAX));
        // What is wrong is reported, and is not what was left out.
        (read.is_some() || typed.is_none()).then_some(read)
    };
    let all = connections("connections", &raw.connections);
    let per_address = connections("connections_per_address", &raw.connections_per_address);
    let headers = count(1..=HEADERS_MAX);
    let headers = at.read("headers", raw.headers.as_ref(), HEADERS, headers);
    let target = size(TARGET_BYTES_MIN..=TARGET_BYTES_MAX);
    let target = at.read("target", raw.target.as_ref(), TARGET_BYTES, target);
    let rate = size(0..=MIN_RATE_BYTES_MAX);
    let rate = at.read("min_rate", raw.min_rate.as_ref(), MIN_RATE_BYTES, rate);
    Some(Limits {
        connections: all?,
        connections_per_address: per_address?,
        headers: headers? as usize,
        target_bytes: target? as usize,
        min_rate_bytes: rate?,
    })
}

fn networks(at: &At<'_>, typed: Vec<Value>) -> Vec<Network> {
    if typed.len() > TRUSTED_MAX {
        at.error(format!("more than {TRUSTED_MAX} networks"));
    }
    let mut networks = Vec::new();
    for (index, value) in typed.iter().take(TRUSTED_MAX).enumerate() {
        let at = at.index(index);
        let parsed = at.scalar(value).map(|typed| network(&typed));
        let Some(network) = parsed.and_then(|parsed| at.accept(parsed)) else {
            continue;
        };
        if networks.contains(&network) {
            at.error(format!("`{network}` is listed twice"));
        } else {
            networks.push(network);
        }
    }
    networks
}

fn network(typed: &Scalar) -> Result<Network, Fault> {
    let shown = typed.to_string();
    shown.parse().map_err(|()| {
        Fault::hint(
            format!("expected an address or a network, found `{shown}`"),
            "as in `10.0.0.7`, `10.0.0.0/8` or `2001:db8::/32`",
        )
    })
}
