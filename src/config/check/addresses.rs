//! Fixed addresses of a service.

use super::scale::REPLICAS_MAX;
use super::value::addresses;
use crate::config::checked::ServiceConfig;
use crate::config::report::At;
use crate::service::spec::Source;
use serde_yaml::Value;
use std::net::{IpAddr, SocketAddr};

pub fn fixed(at: &At<'_>, typed: Vec<Value>) -> Vec<SocketAddr> {
    if typed.is_empty() {
        at.error_hint(
            "is empty",
            "write at least one, as in `[\"10.0.0.7:8080\"]`",
        );
    }
    if typed.len() > REPLICAS_MAX as usize {
        at.error(format!(
            "expected at most {REPLICAS_MAX} addresses, found {}",
            typed.len()
        ));
    }
    addresses(at, &typed, |at, address| {
        if address.port() == 0 {
            at.error(format!("`{address}` has no usable port"));
        } else if address.ip().is_unspecified() {
            at.error_hint(
                format!("`{address}` is an address to listen on, not to connect to"),
                format!("for this machine itself: `127.0.0.1:{}`", address.port()),
            );
        }
    })
}

/// Reports addresses of services at which Tidegate itself listens: requests would loop, or reach
/// the admin API.
pub fn loops(at: &At<'_>, services: &[ServiceConfig], ours: &[SocketAddr]) {
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
                    format!("Tidegate itself listens at `{address}`"),
                    "name the server that should answer",
                );
            }
        }
    }
}

/// Addresses of this machine's interfaces; none if the system does not list them.
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
