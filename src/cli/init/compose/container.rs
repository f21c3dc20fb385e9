//! One service.

use super::deploy::deploy;
use super::environment::{environment, variable};
use super::keys::mention_others;
use super::labels::labels;
use super::left::NotTranslated;
use super::mounts::{networks, volumes};
use super::ports::{Ports, is_https, ports, protocol};
use super::project::Project;
use crate::cli::init::defaults::PORT;
use crate::cli::init::draft::{DraftService, quoted};
use crate::cli::init::health::{Known, translate};
use crate::cli::init::yaml::{flow, inline, items, names_of, text_of};
use crate::config;
use crate::labels::{Translation, read_own, read_traefik};
use serde_yaml::{Mapping, Value};

/// Images of programs that Tidegate replaces.
const PEERS: &[&str] = &[
    "traefik",
    "nginx-proxy",
    "sablier",
    "watchtower",
    "autoheal",
];

/// Service of the configuration for a service of the Compose file.
pub fn translated(
    name: &str,
    keys: &Mapping,
    project: &Project<'_>,
    first_port: u16,
) -> Result<DraftService, NotTranslated> {
    let profiles = keys.get("profiles").map(names_of).unwrap_or_default();
    if !profiles.is_empty() {
        return Err(NotTranslated::Out(format!(
            "runs with the profile {} only",
            profiles.join(" or ")
        )));
    }
    let labels = labels(keys);
    let labels = read_own(&labels).over(read_traefik(&labels));
    if let Some(label) = labels.disabled_by() {
        return Err(NotTranslated::ToCompose(format!(
            "the label `{label}=false` excludes it"
        )));
    }
    let (image, why) = match (keys.get("image"), keys.get("build")) {
        (Some(image), _) => (text_of(image), ""),
        (None, Some(_)) => (project.image(name), "as `docker compose build` names it"),
        (None, None) => return Err("neither `image` nor `build` is set".into()),
    };
    if PEERS.contains(&config::name_of(&image).as_str()) {
        return Err(NotTranslated::Out("Tidegate takes its place".to_owned()));
    }
    let mut service = DraftService::named(config::name_of(name));
    let Ports {
        inside: ports,
        published,
        udp,
    } = ports(keys);
    // Variables that nginx-proxy reads.
    let hosts = variable(keys, "VIRTUAL_HOST");
    let of_variable = variable(keys, "VIRTUAL_PORT").and_then(|port| port.parse().ok());
    let is_http = |port: &&u16| protocol(**port).is_none();
    // Traefik takes what the image exposes, which nobody knows here.
    let is_routed = labels.has_rules || hosts.is_some();
    let of_image = (is_routed && ports.is_empty()).then_some(PORT);
    let of_label = labels.get("port").and_then(Value::as_u64);
    let of_label = of_label.and_then(|port| u16::try_from(port).ok());
    let known = of_label
        .or(of_variable)
        .or(ports.iter().find(is_http).copied());
    let Some(port) = known.or(of_image) else {
        return Err(match ports.iter().find_map(|port| protocol(*port)) {
            Some(protocol) => {
                NotTranslated::ToCompose(format!("the port speaks {protocol}, and not HTTP"))
            }
            None => "it has no port".into(),
        });
    };
    let is_asked_for = of_label.is_some() || is_routed;
    if items(keys, "ports").next().is_none() && !is_asked_for {
        let why = "its port is for other services only";
        return Err(why.into());
    }
    service.set("image", quoted(&image), why);
    let why = match known {
        Some(_) => "inside the container",
        None => "assumed: the port that the program listens on inside the container",
    };
    service.set("port", port.to_string(), why);
    service.set(
        "first_port",
        first_port.to_string(),
        "replicas use 127.0.0.1, from this port upward",
    );
    if let Some(routes) = labels.get("routes") {
        let of_traefik = labels.label_of("routes") != Some("tidegate.routes");
        let why = if of_traefik {
            "from the labels for Traefik"
        } else {
            "from its labels"
        };
        service.set("routes", inline(routes), why);
    } else if labels.has_rules {
        let host = format!("[{{ host: {}.localhost }}]", service.name);
        service.set(
            "routes",
            host,
            "in place of a rule that no route can express",
        );
    } else if let Some(hosts) = hosts {
        let hosts = hosts.split(',').map(str::trim);
        let routes: Vec<String> = hosts
            .map(|host| format!("{{ host: {} }}", quoted(host)))
            .collect();
        let routes = format!("[{}]", routes.join(", "));
        service.set("routes", routes, "from VIRTUAL_HOST");
    }
    for published in published {
        let now = match is_https(&published) {
            true => "`tls.listen` is there with HTTPS",
            false => "clients connect to `listen` now, port 80",
        };
        service
            .remarks
            .push(format!("Compose published port {published}; {now}"));
    }
    for port in ports.iter().filter(|other| **other != port) {
        service
            .remarks
            .push(format!("not translated: port {port}; a service has one"));
    }

    for port in udp {
        service
            .remarks
            .push(format!("not translated: port {port}, which is UDP"));
    }
    for key in ["command", "entrypoint", "user", "stop_grace_period"] {
        if let Some(value) = keys.get(key) {
            service.set(key, flow(value), "");
        }
    }
    environment(keys, project, &mut service);
    let writes = volumes(keys, project, &mut service);
    networks(keys, project, labels.network.as_deref(), &mut service);
    if let Some(memory) = keys.get("mem_limit") {
        service.set("memory", quoted(&text_of(memory)), "");
    }
    if let Some(cpus) = keys.get("cpus") {
        service.set("cpus", text_of(cpus), "");
    }
    health(keys, port, &labels, &mut service);
    deploy(keys, writes, &mut service);
    if let Some(plugins) = labels.get("plugins") {
        service.set("plugins", inline(plugins), "from its labels");
    }
    mention_others(keys, &mut service);
    service.remarks.extend(labels.remarks);
    Ok(service)
}

fn health(keys: &Mapping, port: u16, labels: &Translation, service: &mut DraftService) {
    if labels.label_of("healthcheck") == Some("tidegate.healthcheck")
        && let Some(value) = labels.get("healthcheck")
    {
        service.set("healthcheck", inline(value), "from its labels");
        return;
    }
    let of_label = |key: &str| labels.get(&format!("healthcheck.{key}")).map(text_of);
    let told = keys.get("healthcheck").and_then(Value::as_mapping);
    let text = |key: &str| Some(text_of(told?.get(key)?));
    let test = told
        .and_then(|told| told.get("test"))
        .map(|test| match test {
            Value::Sequence(words) => words.iter().map(text_of).collect::<Vec<_>>().join(" "),
            other => text_of(other),
        });
    let known = Known {
        path: of_label("path"),
        test,
        interval: of_label("interval").or(text("interval")),
        timeout: of_label("timeout").or(text("timeout")),
        retries: text("retries"),
        start_period: text("start_period"),
    };
    let (value, remark) = translate(&known, port);
    if let Some(value) = value {
        service.insert("healthcheck", value, "");
    }
    service.remarks.extend(remark);
}
