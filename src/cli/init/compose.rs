//! From a Compose file to a configuration. What cannot be translated is said as a comment.

use super::draft::{Draft, Service, Value as Drafted, list, quoted};
use super::health::{Told, translate};
use super::ports::{Ports, ports, protocol};
use super::project::Project;
use super::traefik::{self, Claim, Labels};
use super::variables::{self, fill};
use super::{MORE, ONE_COPY, PORT};
use crate::config;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Host ports are given to services in ranges of this size.
const PORTS_EACH: u16 = 100;
const FIRST_PORT: u16 = 8000;

pub fn draft(
    text: &str,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Draft, String> {
    let mut file: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    file.apply_merge().map_err(|error| error.to_string())?;
    let mut draft = Draft::default();
    let missing = fill(&mut file, env);
    if !missing.is_empty() {
        draft.foot.push(format!(
            "variables that are not set, and are empty here: {}",
            missing.join(", ")
        ));
    }
    let Some(services) = file.get("services").and_then(Value::as_mapping) else {
        return Err("there is no `services:` in it; is it a Compose file?".to_owned());
    };
    let project = Project::of(&file, folder, env);
    let mut has_catch_all = false;
    let mut left = Vec::new();
    for (name, service) in services {
        let name = text_of(name);
        let Some(keys) = service.as_mapping() else {
            continue;
        };
        let at = FIRST_PORT.saturating_add(PORTS_EACH.saturating_mul(draft.services.len() as u16));
        match translated(&name, keys, &project, at) {
            Ok(mut service) => {
                if !service.has("routes") {
                    if has_catch_all {
                        let host = format!("[{{ host: {}.localhost }}]", service.name);
                        service.set(
                            "routes",
                            host,
                            "whom it answers; only one service can do without",
                        );
                    }
                    has_catch_all = true;
                }
                draft.services.push(service);
            }
            Err(Left::ToCompose(why)) => left.push((name, why)),
            Err(Left::Out(why)) => draft.foot.push(format!("`{name}` is left out: {why}")),
        }
    }
    let is_catch_all = |it: &&mut Service| !it.has("routes");
    if draft.services.len() > 1
        && let Some(service) = draft.services.iter_mut().find(is_catch_all)
    {
        service
            .remarks
            .push("without `routes` it gets every request that no other service claims".to_owned());
    }
    built(services, &mut draft);
    mention_names(services, &mut draft);
    leave(&left, &project, &mut draft);
    for key in file
        .as_mapping()
        .into_iter()
        .flat_map(Mapping::keys)
        .map(text_of)
    {
        let is_silent =
            ["services", "version", "name", "volumes", "networks"].contains(&key.as_str());
        if !is_silent && !key.starts_with("x-") {
            draft
                .foot
                .push(format!("not translated: `{key}` at the top"));
        }
    }
    if draft.services.is_empty() {
        let mut why = "none of its services can be translated".to_owned();
        for (name, reason) in left {
            why.push_str(&format!("\n  `{name}`: {reason}"));
        }
        return Err(why);
    }
    Ok(draft)
}

/// What `services` says of one that was translated.
fn keys_of<'a>(services: &'a Mapping, service: &Service) -> Option<(String, &'a Mapping)> {
    services.iter().find_map(|(name, keys)| {
        let name = text_of(name);
        let is_it = config::name_of(&name) == service.name;
        keys.as_mapping().filter(|_| is_it).map(|keys| (name, keys))
    })
}

/// Images that Compose builds have to be there.
fn built(services: &Mapping, draft: &mut Draft) {
    let keys = draft.services.iter().filter_map(|it| keys_of(services, it));
    let built = keys.filter(|(_, keys)| keys.get("build").is_some());
    let built: Vec<String> = built.map(|(name, _)| name).collect();
    if !built.is_empty() {
        draft.foot.push(format!(
            "build these images before the first start, and before each `tidegate deploy`: docker \
             compose build {}",
            built.join(" ")
        ));
    }
}

/// Names by which services ask for each other.
fn mention_names(services: &Mapping, draft: &mut Draft) {
    let translated: Vec<String> = draft.services.iter().map(|it| it.name.clone()).collect();
    for service in &mut draft.services {
        let keys = keys_of(services, service);
        let needs = keys.and_then(|(_, keys)| keys.get("depends_on"));
        for name in needs.map(names_of).unwrap_or_default() {
            if translated.contains(&config::name_of(&name)) {
                service.remarks.push(format!(
                    "`{name}` leads nowhere any more as the name of a host, because its \
                     containers come and go: ask Tidegate for it, as clients do"
                ));
            }
        }
    }
}

/// What stays with Compose must be there, and be found.
fn leave(left: &[(String, String)], project: &Project<'_>, draft: &mut Draft) {
    if left.is_empty() {
        return;
    }
    for service in &mut draft.services {
        if !service.has("networks") {
            let networks = list(&[project.network("default")]);
            service.set("networks", networks, "where Compose's services are");
        }
    }
    for (name, why) in left {
        let line = format!("`{name}` is left to Compose: {why}");
        draft.foot.push(line);
    }
    let names: Vec<&str> = left.iter().map(|(name, _)| name.as_str()).collect();
    draft.foot.push(format!(
        "start what is left to Compose before Tidegate, because Compose wants to make its \
         networks itself: docker compose up -d {}",
        names.join(" ")
    ));
}

/// A service that is not translated.
enum Left {
    ToCompose(String),
    /// Nobody is to start it.
    Out(String),
}

impl From<&str> for Left {
    fn from(why: &str) -> Left {
        Left::ToCompose(why.to_owned())
    }
}

fn translated(
    name: &str,
    keys: &Mapping,
    project: &Project<'_>,
    first_port: u16,
) -> Result<Service, Left> {
    let profiles = keys.get("profiles").map(names_of).unwrap_or_default();
    if !profiles.is_empty() {
        return Err(Left::Out(format!(
            "it runs with the profile {} only",
            profiles.join(" or ")
        )));
    }
    let labels = traefik::read(&labels(keys));
    if labels.is_disabled {
        return Err("the label `traefik.enable=false` says that nobody comes in".into());
    }
    let (image, why) = match (keys.get("image"), keys.get("build")) {
        (Some(image), _) => (text_of(image), ""),
        (None, Some(_)) => (project.image(name), "as `docker compose build` names it"),
        (None, None) => return Err("it has neither `image` nor `build`".into()),
    };
    if PEERS.contains(&config::name_of(&image).as_str()) {
        return Err(Left::Out("Tidegate takes its place".to_owned()));
    }
    let mut service = Service::named(config::name_of(name));
    let Ports {
        inside: ports,
        published,
        udp,
    } = ports(keys);
    // What nginx-proxy goes by.
    let hosts = variable(keys, "VIRTUAL_HOST");
    let of_variable = variable(keys, "VIRTUAL_PORT").and_then(|port| port.parse().ok());
    let is_http = |port: &&u16| protocol(**port).is_none();
    // Traefik takes what the image exposes, which nobody knows here.
    let is_routed = labels.claim != Claim::Unsaid || hosts.is_some();
    let of_image = (is_routed && ports.is_empty()).then_some(PORT);
    let known = labels
        .port
        .or(of_variable)
        .or(ports.iter().find(is_http).copied());
    let Some(port) = known.or(of_image) else {
        return Err(match ports.iter().find_map(|port| protocol(*port)) {
            Some(protocol) => Left::ToCompose(format!("its port speaks {protocol}, and not HTTP")),
            None => "it has no port that anybody comes in by".into(),
        });
    };
    let is_asked_for = labels.port.is_some() || labels.claim != Claim::Unsaid || hosts.is_some();
    if items(keys, "ports").next().is_none() && !is_asked_for {
        let why = "its port is for other services only, which ask for it by its name";
        return Err(why.into());
    }
    service.set("image", quoted(&image), why);
    let why = match known {
        Some(_) => "inside the container",
        None => "nothing says it: what the program listens on inside the container",
    };
    service.set("port", port.to_string(), why);
    service.set(
        "first_port",
        first_port.to_string(),
        "replicas are on 127.0.0.1, here and upward",
    );
    match &labels.claim {
        Claim::Routes(routes) => service.set("routes", routes, "from the labels for Traefik"),
        Claim::Untold => {
            let host = format!("[{{ host: {}.localhost }}]", service.name);
            service.set("routes", host, "in place of a rule that routes cannot say");
        }
        Claim::Unsaid => {
            if let Some(hosts) = hosts {
                let hosts = hosts.split(',').map(str::trim);
                let routes: Vec<String> = hosts
                    .map(|host| format!("{{ host: {} }}", quoted(host)))
                    .collect();
                let routes = format!("[{}]", routes.join(", "));
                service.set("routes", routes, "from VIRTUAL_HOST");
            }
        }
    }
    for published in published {
        service.remarks.push(format!(
            "Compose published port {published}; clients come in by `listen` now, port 80"
        ));
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
    networks(keys, project, &labels, &mut service);
    if let Some(memory) = keys.get("mem_limit") {
        service.set("memory", quoted(&text_of(memory)), "");
    }
    if let Some(cpus) = keys.get("cpus") {
        service.set("cpus", text_of(cpus), "");
    }
    health(keys, port, &labels, &mut service);
    deploy(keys, writes, &mut service);
    rest(keys, &mut service);
    service.remarks.extend(labels.remarks);
    Ok(service)
}

/// Keys that were heeded above, or that ask for what happens anyway.
const HEEDED: &[&str] = &[
    "image",
    "ports",
    "expose",
    "command",
    "entrypoint",
    "user",
    "stop_grace_period",
    "environment",
    "env_file",
    "profiles",
    "volumes",
    "networks",
    "mem_limit",
    "cpus",
    "healthcheck",
    "deploy",
    "scale",
    "labels",
    "restart",
    "container_name",
    "pull_policy",
    "build",
];

/// What is not translated, and what to do about it.
fn rest(keys: &Mapping, service: &mut Service) {
    for key in keys.keys().map(text_of) {
        if HEEDED.contains(&key.as_str()) || key.starts_with("x-") {
            continue;
        }
        let advice = match key.as_str() {
            "secrets" => "; with `secrets: { NAME: /path/to/file }` a variable is read from a file",
            "depends_on" => "; requests wait for what is not ready, and health checks see it",
            "logging" => "; `tidegate logs` shows what replicas write",
            _ => "",
        };
        service
            .remarks
            .push(format!("not translated: `{key}`{advice}"));
    }
}

/// Images whose work Tidegate does.
const PEERS: &[&str] = &[
    "traefik",
    "nginx-proxy",
    "sablier",
    "watchtower",
    "autoheal",
];

pub(super) fn items<'a>(keys: &'a Mapping, name: &str) -> impl Iterator<Item = &'a Value> {
    let items = keys.get(name).and_then(Value::as_sequence);
    items.into_iter().flatten()
}

/// What is under `environment`, and in files that are there; the former comes first.
fn environment(keys: &Mapping, project: &Project<'_>, service: &mut Service) {
    let mut files = Vec::new();
    match keys.get("env_file") {
        Some(Value::Sequence(several)) => files.extend(several),
        Some(one) => files.push(one),
        None => {}
    }
    let mut variables = BTreeMap::new();
    for file in files {
        let path = text_of(file.get("path").unwrap_or(file));
        match variables::of_file(&project.folder().join(&path)) {
            Ok(of_file) if !of_file.is_empty() => variables.extend(of_file),
            Ok(_) => service
                .remarks
                .push(format!("not translated: there is nothing in {path}")),
            Err(why) => service.remarks.push(format!("not translated: {why}")),
        }
    }
    if variables.is_empty() {
        if let Some(environment) = keys.get("environment") {
            service.set("environment", flow(environment), "");
        }
        return;
    }
    let mut all: Mapping = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    match keys.get("environment") {
        Some(Value::Mapping(own)) => all.extend(own.clone()),
        Some(Value::Sequence(own)) => all.extend(own.iter().map(text_of).map(|variable| {
            match variable.split_once('=') {
                Some((name, value)) => (name.into(), value.into()),
                // It takes Tidegate's own.
                None => (variable.into(), Value::Null),
            }
        })),
        _ => {}
    }
    service.set(
        "environment",
        flow(&Value::Mapping(all)),
        "in clear; what nobody should see belongs under `secrets`",
    );
}

fn variable(keys: &Mapping, name: &str) -> Option<String> {
    match keys.get("environment")? {
        Value::Mapping(variables) => variables.get(name).map(text_of),
        Value::Sequence(variables) => variables.iter().find_map(|variable| {
            let variable = text_of(variable);
            let value = variable.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.to_owned())
        }),
        _ => None,
    }
}

/// Those of the containers, and those that a swarm would give to the service.
fn labels(keys: &Mapping) -> Vec<(String, String)> {
    let of_swarm = keys.get("deploy").and_then(|deploy| deploy.get("labels"));
    let mut pairs = Vec::new();
    for labels in keys.get("labels").into_iter().chain(of_swarm) {
        match labels {
            Value::Mapping(labels) => {
                let labels = labels.iter();
                pairs.extend(labels.map(|(key, value)| (text_of(key), text_of(value))));
            }
            Value::Sequence(labels) => {
                let labels = labels.iter().map(text_of);
                pairs.extend(labels.map(|label| match label.split_once('=') {
                    Some((key, value)) => (key.to_owned(), value.to_owned()),
                    None => (label, String::new()),
                }));
            }
            _ => {}
        }
    }
    pairs
}

/// Whether it may write to any.
fn volumes(keys: &Mapping, project: &Project<'_>, service: &mut Service) -> bool {
    let mut kept = Vec::new();
    let (mut writes, mut is_named) = (false, false);
    for volume in items(keys, "volumes") {
        let (source, target, mode) = match volume {
            Value::Mapping(long) => {
                let text = |key: &str| long.get(key).map(text_of).unwrap_or_default();
                let is_kept = ["volume", "bind"].contains(&text("type").as_str());
                let read_only = text("read_only") == "true";
                let source = if is_kept {
                    text("source")
                } else {
                    String::new()
                };
                (
                    source,
                    text("target"),
                    if read_only { "ro" } else { "" }.to_owned(),
                )
            }
            short => {
                let short = text_of(short);
                let mut parts = short.splitn(3, ':').map(str::to_owned);
                let first = parts.next().unwrap_or_default();
                match parts.next() {
                    None => (String::new(), first, String::new()),
                    Some(target) => (first, target, parts.next().unwrap_or_default()),
                }
            }
        };
        if source.is_empty() {
            service.remarks.push(format!(
                "not translated: the volume at {target}; give it a name, as in `data:{target}`"
            ));
            continue;
        }
        let source = project.volume(&source);
        is_named |= !source.starts_with('/');
        let reads_only = mode.split(',').any(|mode| mode == "ro");
        // A socket, as Docker's, is not shared by writing to it.
        writes |= !reads_only && !source.ends_with(".sock");
        let mode = if reads_only { ":ro" } else { "" };
        kept.push(format!("{source}:{target}{mode}"));
    }
    if !kept.is_empty() {
        let why = match is_named {
            true => "every replica shares them; named as Compose does, what is in them stays",
            false => "every replica shares them",
        };
        service.set("volumes", list(&kept), why);
    }
    writes
}

fn networks(keys: &Mapping, project: &Project<'_>, labels: &Labels, service: &mut Service) {
    let named = keys.get("networks").map(names_of).unwrap_or_default();
    let mut networks: Vec<String> = named.iter().map(|name| project.network(name)).collect();
    if let Some(first) = &labels.network {
        networks.retain(|name| name != first);
        networks.insert(0, first.clone());
    }
    if !networks.is_empty() {
        service.set(
            "networks",
            list(&networks),
            "as `docker network ls` names them",
        );
    }
}

fn health(keys: &Mapping, port: u16, labels: &Labels, service: &mut Service) {
    let told = keys.get("healthcheck").and_then(Value::as_mapping);
    let text = |key: &str| Some(text_of(told?.get(key)?));
    let test = told
        .and_then(|told| told.get("test"))
        .map(|test| match test {
            Value::Sequence(words) => words.iter().map(text_of).collect::<Vec<_>>().join(" "),
            other => text_of(other),
        });
    let told = Told {
        path: labels.health_path.clone(),
        test,
        interval: labels.health_interval.clone().or(text("interval")),
        timeout: labels.health_timeout.clone().or(text("timeout")),
        retries: text("retries"),
        start_period: text("start_period"),
    };
    let (value, remark) = translate(&told, port);
    if let Some(value) = value {
        service.insert("healthcheck", value, "");
    }
    service.remarks.extend(remark);
}

fn deploy(keys: &Mapping, writes: bool, service: &mut Service) {
    let deploy = keys.get("deploy");
    let get = |path: &[&str]| path.iter().try_fold(deploy?, |value, key| value.get(key));
    let replicas = get(&["replicas"]).or(keys.get("scale"));
    let replicas = replicas.and_then(Value::as_u64).unwrap_or(1).max(1);
    if replicas == 1 && writes {
        service.set("scale", "{ min: 1, max: 1 }", ONE_COPY);
    } else {
        let max = replicas.max(10);
        service.set("scale", format!("{{ min: {replicas}, max: {max} }}"), MORE);
    }
    for (key, path) in [("cpus", "cpus"), ("memory", "memory")] {
        if let Some(limit) = get(&["resources", "limits", path])
            && !service.has(key)
        {
            let limit = text_of(limit);
            let limit = if key == "cpus" { limit } else { quoted(&limit) };
            service.set(key, limit, "");
        }
    }
    if let Some(update) = get(&["update_config"]).and_then(Value::as_mapping) {
        let keys = update
            .iter()
            .map(|(key, value)| (text_of(key), flow(value), String::new()));
        service.insert("update_config", Drafted::Block(keys.collect()), "");
    }
    let heeded = [
        "replicas",
        "resources",
        "update_config",
        "mode",
        "restart_policy",
        "labels",
    ];
    let keys = deploy
        .and_then(Value::as_mapping)
        .into_iter()
        .flat_map(Mapping::keys);
    for key in keys
        .map(text_of)
        .filter(|key| !heeded.contains(&key.as_str()))
    {
        service
            .remarks
            .push(format!("not translated: `deploy.{key}`"));
    }
}

fn names_of(value: &Value) -> Vec<String> {
    match value {
        Value::Mapping(named) => named.keys().map(text_of).collect(),
        Value::Sequence(names) => names.iter().map(text_of).collect(),
        _ => Vec::new(),
    }
}

/// A value in one line; JSON is YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Sequence(_) | Value::Mapping(_) => serde_json::to_string(value).unwrap_or_default(),
        other => text_of(other),
    }
}

pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}
