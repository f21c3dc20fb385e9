//! Labels of a container read back: Docker is the memory.

use super::addresses::addresses;
use super::names::{
    DECLARED, DEPLOYED, GENERATION, Labels, PORT, SERVICE, SLOT, SPEC, TEMPLATE, WANTED,
};
use super::seal::{self, Seal};
use super::state::run_state;
use super::vouch::{Found, vouched};
use crate::engine::docker::listed::Listed;
use crate::service::replica::{Made, Observed, ReplicaId, RunState, Vouched};
use crate::service::spec::{ImageId, ManualDeploy, ServiceName, Slot, SpecHash, is_name};
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tolerance between the generation of a container and the clock, because clocks are set.
const CLOCK_MAY_BE_OFF: Duration = Duration::from_secs(24 * 60 * 60);

/// Characters of a label's value in a message.
const SHOWN_CHARS_MAX: usize = 80;

/// The replica in a listed container; `None`: it is being removed. An error: its labels are broken,
/// or not ours. `image`: our labels on its image, as far as they are known.
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
    let vouched = vouched(&found, seal)?;
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

/// Name of a container. Docker also lists names that linked containers use, which have a second slash.
fn name(container: &Listed) -> &str {
    let names = container.names.iter().flatten();
    let mut names = names.map(|name| name.trim_start_matches('/'));
    names.find(|name| !name.contains('/')).unwrap_or_default()
}

/// Latest plausible generation, in milliseconds since 1970.
fn latest_generation(created: Option<u64>) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let created = Duration::from_secs(created.unwrap_or_default());
    let latest = now.max(created).saturating_add(CLOCK_MAY_BE_OFF);
    u64::try_from(latest.as_millis()).unwrap_or(u64::MAX)
}

/// Name of a template; labels of older versions have it in plain.
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

/// Untrusted text, for a terminal.
fn shown(value: &str) -> String {
    let beginning: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    beginning.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::docker::labels::names::owned;
    use crate::engine::docker::labels::write::sealed;
    use crate::engine::docker::listed::{Endpoint, HostConfig, NetworkSettings};

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
