//! Docker is the memory: what a replica is, written on its container and read back.

use super::label_names::{
    DECLARED, DEPLOYED, GENERATION, Labels, PORT, SEAL, SERVICE, SLOT, SPEC, TEMPLATE, WANTED,
    owned,
};
use super::listed::{Endpoint, Listed};
use super::seal::{self, Seal};
use super::vouch::{self, Found};
use crate::service::manual::ManualDeploy;
use crate::service::replica::{Made, Observed, ReplicaId, RunState, Vouched};
use crate::service::spec::{ImageId, ServiceName, Slot, Spec, SpecHash, Version, is_name};
use serde::Deserialize;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The generation of a container is about the time at which it was made; clocks are set, though.
const CLOCK_MAY_BE_OFF: Duration = Duration::from_secs(24 * 60 * 60);

/// Of a label's value in a message.
const SHOWN_CHARS_MAX: usize = 80;

/// All but the seal.
pub fn replica(
    instance: &str,
    spec: &Spec,
    version: &Version,
    slot: Slot,
    generation: u64,
    seal: Option<&Seal>,
) -> Labels {
    let mut labels = owned(instance);
    let declared = spec.declared().unwrap_or_else(|| version.hash.clone());
    let name = |hash: &SpecHash| match seal {
        Some(seal) => seal.encipher(hash.as_str()),
        None => hash.as_str().to_owned(),
    };
    labels.extend([
        (SERVICE.into(), spec.name.to_string()),
        (SLOT.into(), slot.to_string()),
        (SPEC.into(), name(&version.hash)),
        (GENERATION.into(), generation.to_string()),
        (PORT.into(), version.template.port.to_string()),
        (DECLARED.into(), name(&declared)),
        (TEMPLATE.into(), version.template.to_label()),
    ]);
    labels.extend(
        version
            .manual
            .as_ref()
            .map(|manual| (DEPLOYED.into(), manual.to_label())),
    );
    labels.extend(
        spec.wanted
            .map(|wanted| (WANTED.into(), wanted.to_string())),
    );
    labels
}

/// The same labels for the container of this name.
pub fn sealed(labels: &Labels, container: &str, seal: Option<&Seal>) -> Labels {
    let mut labels = labels.clone();
    labels.extend(seal.map(|seal| (SEAL.into(), seal.of(container, &labels))));
    labels
}

/// A replica as Docker lists it. None: it is being removed. An error: the labels are broken, or
/// not ours. `image` has what its image carries of our labels, as far as that is known.
pub fn observed(
    container: &Listed,
    image: Option<&Labels>,
    seal: Option<&Seal>,
) -> Result<Option<Observed>, String> {
    let Some(state) = run_state(container)? else {
        return Ok(None);
    };
    let labels = container.labels.as_ref().ok_or("it has no labels")?;
    let created = container.created.and_then(|at| u64::try_from(at).ok());
    let found = Found {
        name: name(container),
        labels,
        created,
        image,
    };
    let vouched = vouch::vouched(&found, seal)?;
    let slot: Slot = read(labels, SLOT)?;
    let generation = read(labels, GENERATION)?;
    if vouched != Vouched::Sealed && generation > latest_generation(created) {
        return Err(format!(
            "the label {GENERATION} is `{generation}`, which is far in the future"
        ));
    }
    let service = text(labels, SERVICE)?;
    if !is_name(service) {
        let service = shown(service);
        return Err(format!(
            "the label {SERVICE} is `{service}`, which is no name of a service"
        ));
    }
    Ok(Some(Observed {
        service: ServiceName::new(service),
        id: ReplicaId::new(container.id.as_ref().ok_or("it has no id")?),
        slot,
        generation,
        spec: hash(text(labels, SPEC)?, seal),
        made: made(labels, vouched, seal),
        image: container.image_id.clone().map(ImageId),
        addresses: match state {
            RunState::Running | RunState::Paused => {
                addresses(container, labels, slot, read(labels, PORT)?)
            }
            RunState::Created | RunState::Exited { .. } => Vec::new(),
        },
        state,
    }))
}

/// Docker lists the names by which linked containers know it, too; these have a second slash.
fn name(container: &Listed) -> &str {
    let names = container.names.iter().flatten();
    let mut names = names.map(|name| name.trim_start_matches('/'));
    names.find(|name| !name.contains('/')).unwrap_or_default()
}

/// Generations are milliseconds of the clock that made them.
fn latest_generation(created: Option<u64>) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let created = Duration::from_secs(created.unwrap_or_default());
    let latest = now.max(created).saturating_add(CLOCK_MAY_BE_OFF);
    u64::try_from(latest.as_millis()).unwrap_or(u64::MAX)
}

/// A template's name; those of older versions stand in labels as they are.
fn hash(label: &str, seal: Option<&Seal>) -> SpecHash {
    let name = seal.and_then(|seal| seal.decipher(label));
    SpecHash::new(match name {
        Some(name) => name,
        None if seal::is_enciphered(label) => seal::stand_in(label),
        None => label.to_owned(),
    })
}

fn made(labels: &Labels, vouched: Vouched, seal: Option<&Seal>) -> Option<Made> {
    Some(Made {
        declared: hash(labels.get(DECLARED)?, seal),
        template: labels.get(TEMPLATE)?.as_str().into(),
        manual: labels
            .get(DEPLOYED)
            .and_then(|label| ManualDeploy::from_label(label)),
        wanted: labels.get(WANTED).and_then(|wanted| wanted.parse().ok()),
        vouched,
    })
}

fn text<'a>(labels: &'a Labels, key: &str) -> Result<&'a str, String> {
    match labels.get(key).map(String::as_str) {
        None | Some("") => Err(format!("the label {key} is missing")),
        Some(value) => Ok(value),
    }
}

fn read<T: FromStr>(labels: &Labels, key: &str) -> Result<T, String> {
    let value = text(labels, key)?;
    value.parse().map_err(|_| {
        let value = shown(value);
        format!("the label {key} is `{value}`, which is not a number in its range")
    })
}

/// A stranger's text, for a terminal.
fn shown(value: &str) -> String {
    let beginning: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    beginning.escape_debug().to_string()
}

/// Docker's words for states, and Podman's. None: it is being removed.
fn run_state(container: &Listed) -> Result<Option<RunState>, String> {
    Ok(Some(match container.state.as_deref().unwrap_or_default() {
        "created" | "configured" | "initialized" => RunState::Created,
        // Being stopped by somebody; it still runs, and its end makes an event.
        "running" | "stopping" => RunState::Running,
        "paused" => RunState::Paused,
        // "restarting" only when somebody gave it a restart policy behind our back.
        "restarting" | "exited" | "stopped" | "dead" | "" => RunState::Exited {
            code: container.status.as_deref().and_then(exit_code),
        },
        "removing" => return Ok(None),
        other => return Err(format!("its state is `{other}`, which is unknown here")),
    }))
}

/// The 137 of "Exited (137) 2 minutes ago".
fn exit_code(status: &str) -> Option<i64> {
    let (_, rest) = status.split_once('(')?;
    let (code, _) = rest.split_once(')')?;
    code.parse().ok()
}

/// The container's own addresses, those on its first network first, then the published port.
fn addresses(
    container: &Listed,
    labels: &HashMap<String, String>,
    slot: Slot,
    port: u16,
) -> Vec<SocketAddr> {
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
fn networks_of(labels: &HashMap<String, String>) -> Vec<String> {
    #[derive(Deserialize)]
    struct Networks {
        networks: Vec<String>,
    }
    let template = labels.get(TEMPLATE).map(String::as_str);
    let networks = template.and_then(|template| serde_json::from_str(template).ok());
    networks.map_or_else(Vec::new, |Networks { networks }| networks)
}

#[cfg(test)]
mod tests {
    use super::super::listed::{HostConfig, NetworkSettings};
    use super::*;

    fn container(state: &str, status: &str) -> Listed {
        let mut labels = owned("test");
        for (key, value) in [
            (SERVICE, "web"),
            (SLOT, "8001"),
            (SPEC, "abc"),
            (GENERATION, "1767225600000"),
            (PORT, "80"),
        ] {
            labels.insert(key.into(), value.into());
        }
        Listed {
            id: Some("c0ffee".into()),
            names: Some(vec!["/web/alias".into(), "/tidegate-web-8001".into()]),
            labels: Some(labels),
            state: Some(state.into()),
            status: Some(status.into()),
            ..Default::default()
        }
    }

    /// Without a key, as `tidegate logs` reads it.
    fn observed(container: &Listed) -> Result<Option<Observed>, String> {
        super::observed(container, Some(&Labels::new()), None)
    }

    fn on(networks: &[(&str, &str)]) -> Option<NetworkSettings> {
        let endpoint = |ip: &str| Endpoint {
            ip_address: Some(ip.into()),
            global_ipv6_address: Some(String::new()),
        };
        let networks = networks
            .iter()
            .map(|(name, ip)| (name.to_string(), Some(endpoint(ip))))
            .collect();
        Some(NetworkSettings {
            networks: Some(networks),
        })
    }

    #[test]
    fn a_container_is_read_back_from_its_labels() {
        let seen = observed(&container("running", "Up 2 seconds"));
        let seen = seen.unwrap().unwrap();
        assert_eq!(seen.service.as_str(), "web");
        assert_eq!((seen.slot, seen.generation), (8001, 1_767_225_600_000));
        assert_eq!(seen.spec.as_str(), "abc");
        assert_eq!(seen.state, RunState::Running);
    }

    #[test]
    fn states_are_those_of_the_process() {
        let exited = |code| Some(RunState::Exited { code });
        for (state, status, expected) in [
            ("created", "Created", Some(RunState::Created)),
            ("initialized", "Created", Some(RunState::Created)),
            ("stopping", "Up", Some(RunState::Running)),
            ("stopped", "Exited (3) 2 seconds ago", exited(Some(3))),
            ("paused", "Up 2 hours (Paused)", Some(RunState::Paused)),
            ("exited", "Exited (137) 2 minutes ago", exited(Some(137))),
            ("exited", "", exited(None)),
            ("dead", "Dead", exited(None)),
            (
                "restarting",
                "Restarting (1) 5 seconds ago",
                exited(Some(1)),
            ),
            ("removing", "Removal In Progress", None),
        ] {
            let seen = observed(&container(state, status)).unwrap();
            assert_eq!(seen.map(|seen| seen.state), expected, "{status}");
        }
    }

    #[test]
    fn the_first_configured_network_is_dialled_first_and_the_published_port_last() {
        let mut container = container("running", "Up");
        container.host_config = Some(HostConfig {
            network_mode: Some("web".into()),
        });
        container.network_settings = on(&[("db", "10.1.0.2"), ("web", "10.9.0.2"), ("away", "")]);
        let seen = observed(&container).unwrap().unwrap();
        let addresses: Vec<_> = seen.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.9.0.2:80", "10.1.0.2:80", "127.0.0.1:8001"]);

        container.host_config = Some(HostConfig {
            network_mode: Some("bridge".into()),
        });
        let labels = container.labels.as_mut().unwrap();
        labels.insert(TEMPLATE.into(), r#"{"networks":["web","db"]}"#.into());
        let seen = observed(&container).unwrap().unwrap();
        assert_eq!(seen.addresses[0].to_string(), "10.9.0.2:80");
    }

    #[test]
    fn a_broken_label_is_named() {
        for (key, value) in [
            (SLOT, "99999"),
            (GENERATION, "new"),
            (SERVICE, ""),
            (PORT, "x"),
        ] {
            let mut container = container("running", "Up");
            let labels = container.labels.as_mut().unwrap();
            labels.insert(key.into(), value.into());
            assert!(observed(&container).is_err());
            let name = labels_name(&container);
            container.names = Some(vec![name]);
            assert!(observed(&container).unwrap_err().contains(key));
        }
    }

    fn labels_name(container: &Listed) -> String {
        let labels = container.labels.as_ref().unwrap();
        format!("/tidegate-{}-{}", labels[SERVICE], labels[SLOT])
    }

    #[test]
    fn a_strangers_text_is_shown_harmless_and_short() {
        for service in ["we\u{1b}[31mb", "Web", "-web", &"x".repeat(2_000)] {
            let mut container = container("running", "Up");
            let labels = container.labels.as_mut().unwrap();
            labels.insert(SERVICE.into(), service.into());
            container.names = Some(vec![labels_name(&container)]);
            let error = observed(&container).unwrap_err();
            assert!(error.contains("no name of a service"), "{error:?}");
            assert!(!error.contains('\u{1b}') && error.len() < 200, "{error:?}");
            let labels = container.labels.as_mut().unwrap();
            labels.insert(SERVICE.into(), "web".into());
            labels.insert(SLOT.into(), service.into());
            container.names = Some(vec![labels_name(&container)]);
            let error = observed(&container).unwrap_err();
            assert!(!error.contains('\u{1b}') && error.len() < 200, "{error:?}");
        }
    }

    #[test]
    fn a_generation_far_beyond_the_clock_counts_only_under_our_seal() {
        let seal = Seal::new([7; seal::KEY_BYTES], u64::MAX);
        let none = Labels::new();
        for (generation, counts) in [
            ("1767225600000", true),
            ("9999999999999", false),
            ("18446744073709551615", false),
        ] {
            let mut container = container("running", "Up");
            container.created = Some(1_767_225_600);
            let labels = container.labels.as_mut().unwrap();
            labels.insert(GENERATION.into(), generation.into());
            let seen = super::observed(&container, Some(&none), Some(&seal));
            assert_eq!(seen.is_ok(), counts, "{generation}");
            let labels = container.labels.as_mut().unwrap();
            *labels = sealed(labels, "tidegate-web-8001", Some(&seal));
            let seen = super::observed(&container, Some(&none), Some(&seal));
            assert!(seen.is_ok(), "{generation}");
        }
    }

    #[test]
    fn the_names_of_templates_are_read_with_the_key_alone_and_those_of_older_versions_as_they_are()
    {
        let key = |byte| Seal::new([byte; seal::KEY_BYTES], u64::MAX);
        let seen = |spec: &str, seal: &Seal| {
            let mut container = container("running", "Up");
            container.created = Some(1);
            let labels = container.labels.as_mut().unwrap();
            labels.insert(SPEC.into(), spec.into());
            let seen = super::observed(&container, Some(&Labels::new()), Some(seal));
            seen.unwrap().unwrap().spec.as_str().to_owned()
        };
        let plain = "00c0ffee1234";
        let label = key(7).encipher(plain);
        assert_eq!(seen(&label, &key(7)), plain);
        assert_eq!(seen(plain, &key(7)), plain);
        let lost = seen(&label, &key(8));
        assert_eq!(lost.len(), plain.len());
        assert_ne!(lost, plain);
    }
}
