//! Addresses at which a container may be reached.

use super::names::{Labels, TEMPLATE};
use crate::engine::docker::listed::{Endpoint, Listed};
use crate::service::spec::Slot;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The container's own addresses, those on its first network first, then the published port.
pub fn addresses(container: &Listed, labels: &Labels, slot: Slot, port: u16) -> Vec<SocketAddr> {
    let settings = container.network_settings.as_ref();
    let mut networks: Vec<(&String, &Endpoint)> = settings
        .and_then(|settings| settings.networks.as_ref())
        .into_iter()
        .flatten()
        .filter_map(|(name, endpoint)| Some((name, endpoint.as_ref()?)))
        .collect();
    let mode = container.host_config.as_ref();
    let first = match mode.and_then(|config| config.network_mode.as_deref()) {
        None | Some("default") => "bridge",
        Some(name) => name,
    };
    // Podman names the kind of network here, and only the template has their order.
    let wanted = networks_of(labels);
    let is_network = networks.iter().any(|(name, _)| *name == first);
    let first = match wanted.first() {
        Some(wanted) if !is_network => wanted,
        _ => first,
    };
    networks.sort_by_key(|(name, _)| (*name != first, *name));
    let direct = networks
        .iter()
        .flat_map(|(_, network)| [&network.ip_address, &network.global_ipv6_address])
        .filter_map(|ip| ip.as_deref()?.parse::<IpAddr>().ok())
        .map(|ip| SocketAddr::new(ip, port));
    // On the host's own network nothing is published.
    let local = if first == "host" { port } else { slot };
    let published = SocketAddr::from((Ipv4Addr::LOCALHOST, local));
    direct.chain([published]).collect()
}

/// The networks that the container was made for, in their order.
fn networks_of(labels: &Labels) -> Vec<String> {
    #[derive(Deserialize)]
    struct Networks {
        networks: Vec<String>,
    }
    let template = labels.get(TEMPLATE).map(String::as_str);
    let networks = template.and_then(|template| serde_json::from_str(template).ok());
    networks.map_or_else(Vec::new, |Networks { networks }| networks)
}
