//! Proxies in front of this one: trusted addresses, and listeners with PROXY headers.

use super::value::{ValueError, addresses};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::service::network::Network;
use serde_yaml::Value;
use std::net::SocketAddr;

const TRUSTED_MAX: usize = 1000;

pub struct Proxies {
    pub trusted: Vec<Network>,
    /// Listeners where connections begin with a PROXY header.
    pub listeners: Vec<SocketAddr>,
}

pub fn proxies(
    at: &At<'_>,
    trusted: Option<Vec<Value>>,
    proxy_protocol: Option<Vec<Value>>,
    listen: &[SocketAddr],
) -> Proxies {
    let trusted = networks(&at.key("trusted_proxies"), trusted.unwrap_or_default());
    let typed = proxy_protocol.unwrap_or_default();
    let in_protocol = at.key("proxy_protocol");
    let listeners = addresses(&in_protocol, &typed, |at, address| {
        if !listen.contains(&address) {
            at.error_hint(
                format!("`{address}` is not listed under `listen` or `tls.listen`"),
                "write it exactly as there",
            );
        }
    });
    if !listeners.is_empty() && trusted.is_empty() {
        in_protocol.error_hint(
            "no proxy is trusted to send a PROXY header, so every connection there is refused",
            "name the proxies, as in `trusted_proxies: [\"10.0.0.0/8\"]`",
        );
    }
    Proxies { trusted, listeners }
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

fn network(typed: &Scalar) -> Result<Network, ValueError> {
    let shown = typed.to_string();
    shown.parse().map_err(|()| {
        ValueError::hint(
            format!("expected an address or a network, found `{shown}`"),
            "as in `10.0.0.7`, `10.0.0.0/8` or `2001:db8::/32`",
        )
    })
}
