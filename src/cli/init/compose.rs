//! From a Compose file to a configuration. What cannot be translated is said as a comment.

use super::draft::{Draft, Service, Value as Drafted, list, quoted};
use super::health::{Told, translate};
use super::variables::fill;
use crate::config;
use serde_yaml::{Mapping, Value};
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
    let mut has_catch_all = false;
    for (name, service) in services {
        let name = text_of(name);
        let Some(keys) = service.as_mapping() else {
            continue;
        };
        let at = FIRST_PORT.saturating_add(PORTS_EACH.saturating_mul(draft.services.len() as u16));
        match translated(&name, keys, folder, at) {
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
            Err(why) => draft
                .foot
                .push(format!("`{name}` is left to Compose: {why}")),
        }
    }
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
    match draft.services.is_empty() {
        true => {
            Err("none of its services has an image and a port that somebody comes in by".to_owned())
        }
        false => Ok(draft),
    }
}

fn translated(
    name: &str,
    keys: &Mapping,
    folder: &Path,
    first_port: u16,
) -> Result<Service, String> {
    let Some(image) = keys.get("image") else {
        return Err(
            "it has no `image`; build it, give the image a name, and name it here".to_owned(),
        );
    };
    let mut service = Service::named(config::name_of(name));
    let (ports, published) = ports(keys);
    let of_label = traefik(keys, "loadbalancer.server.port").and_then(|port| port.parse().ok());
    let Some(port) = of_label.or(ports.first().copied()) else {
        return Err("it has no port that anybody comes in by".to_owned());
    };
    service.set("image", quoted(&text_of(image)), "");
    service.set("port", port.to_string(), "inside the container");
    service.set(
        "first_port",
        first_port.to_string(),
        "replicas are on 127.0.0.1, here and upward",
    );
    if let Some(routes) = routes(keys, &mut service.remarks) {
        service.set("routes", routes, "from the labels for Traefik");
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

    for key in ["command", "entrypoint", "user", "stop_grace_period"] {
        if let Some(value) = keys.get(key) {
            service.set(key, flow(value), "");
        }
    }
    if let Some(environment) = keys.get("environment") {
        service.set("environment", flow(environment), "");
    }
    volumes(keys, folder, &mut service);
    if let Some(networks) = keys.get("networks") {
        let names = names_of(networks);
        service.remarks.push(format!(
            "Compose has networks {}; name them as `docker network ls` does, with the project's \
             name in front: networks: [project_{}]",
            names.join(", "),
            names.first().map_or("default", String::as_str),
        ));
    }
    if let Some(memory) = keys.get("mem_limit") {
        service.set("memory", quoted(&text_of(memory)), "");
    }
    if let Some(cpus) = keys.get("cpus") {
        service.set("cpus", text_of(cpus), "");
    }
    health(keys, port, &mut service);
    deploy(keys.get("deploy"), &mut service);
    rest(keys, &mut service);
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
    "volumes",
    "networks",
    "mem_limit",
    "cpus",
    "healthcheck",
    "deploy",
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
            "env_file" => {
                "; write its variables under `environment`, or its secrets under `secrets`"
            }
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

/// Ports inside, and those that were published, as they are written.
fn ports(keys: &Mapping) -> (Vec<u16>, Vec<String>) {
    let (mut inside, mut published) = (Vec::new(), Vec::new());
    for port in keys
        .get("ports")
        .and_then(Value::as_sequence)
        .into_iter()
        .flatten()
    {
        let (target, out) = match port {
            Value::Mapping(long) => (
                long.get("target").map(text_of).unwrap_or_default(),
                long.get("published").map(text_of),
            ),
            short => {
                let short = text_of(short);
                let short = short.split('/').next().unwrap_or_default().to_owned();
                match short.rsplit_once(':') {
                    Some((out, target)) => (target.to_owned(), Some(out.to_owned())),
                    None => (short, None),
                }
            }
        };
        inside.extend(target.parse::<u16>());
        published.extend(out);
    }
    for port in keys
        .get("expose")
        .and_then(Value::as_sequence)
        .into_iter()
        .flatten()
    {
        inside.extend(
            text_of(port)
                .split('/')
                .next()
                .and_then(|port| port.parse::<u16>().ok()),
        );
    }
    inside.dedup();
    (inside, published)
}

fn volumes(keys: &Mapping, folder: &Path, service: &mut Service) {
    let mut kept = Vec::new();
    for volume in keys
        .get("volumes")
        .and_then(Value::as_sequence)
        .into_iter()
        .flatten()
    {
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
        let source = match source.strip_prefix("./").or((source == ".").then_some("")) {
            Some(below) => folder.join(below).display().to_string(),
            None if source.starts_with("../") => folder.join(&source).display().to_string(),
            None => source,
        };
        let mode = if mode.split(',').any(|mode| mode == "ro") {
            ":ro"
        } else {
            ""
        };
        kept.push(format!("{source}:{target}{mode}"));
    }
    if !kept.is_empty() {
        service.set("volumes", list(&kept), "every replica shares them");
        if kept.iter().any(|volume| !volume.starts_with('/')) {
            service.remarks.push(
                "Compose puts the project's name in front of volumes, as in `project_data`; \
                                  name them so to keep what is in them"
                    .to_owned(),
            );
        }
    }
}

fn health(keys: &Mapping, port: u16, service: &mut Service) {
    let told = keys.get("healthcheck").and_then(Value::as_mapping);
    let text = |key: &str| Some(text_of(told?.get(key)?));
    let test = told
        .and_then(|told| told.get("test"))
        .map(|test| match test {
            Value::Sequence(words) => words.iter().map(text_of).collect::<Vec<_>>().join(" "),
            other => text_of(other),
        });
    let told = Told {
        test,
        interval: text("interval"),
        timeout: text("timeout"),
        retries: text("retries"),
        start_period: text("start_period"),
    };
    let (value, remark) = translate(&told, port);
    service.insert("healthcheck", value, "");
    service.remarks.extend(remark);
}

fn deploy(deploy: Option<&Value>, service: &mut Service) {
    let get = |path: &[&str]| path.iter().try_fold(deploy?, |value, key| value.get(key));
    let replicas = get(&["replicas"])
        .and_then(Value::as_u64)
        .unwrap_or(1)
        .max(1);
    let max = replicas.max(10);
    service.set(
        "scale",
        format!("{{ min: {replicas}, max: {max} }}"),
        "more when traffic asks for it",
    );
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

/// Of the router of Traefik's labels: hosts and path prefixes.
fn routes(keys: &Mapping, remarks: &mut Vec<String>) -> Option<String> {
    let rule = traefik(keys, "rule")?;
    let words = |function: &str| -> Vec<String> {
        let call = format!("{function}(");
        let calls = rule.split(&call).skip(1);
        let inside = calls.filter_map(|call| call.split(')').next());
        inside
            .flat_map(|inside| {
                inside
                    .split(',')
                    .map(|word| word.trim().trim_matches(['`', '"', '\'']).to_owned())
            })
            .collect()
    };
    let (hosts, paths) = (words("Host"), words("PathPrefix"));
    if rule.contains('!') || rule.contains("Regexp") || hosts.is_empty() && paths.is_empty() {
        remarks.push(format!("not translated: Traefik's rule {rule}"));
        return None;
    }
    let optional = |words: &[String]| match words {
        [] => vec![None],
        words => words.iter().cloned().map(Some).collect(),
    };
    let mut routes = Vec::new();
    for host in optional(&hosts) {
        for path in optional(&paths) {
            let host = host.as_ref().map(|host| format!("host: {}", quoted(host)));
            let path = path.as_ref().map(|path| format!("path: {}", quoted(path)));
            let parts: Vec<String> = host.into_iter().chain(path).collect();
            routes.push(format!("{{ {} }}", parts.join(", ")));
        }
    }
    Some(format!("[{}]", routes.join(", ")))
}

/// A label of Traefik's, of whatever router or service.
fn traefik(keys: &Mapping, end: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = match keys.get("labels")? {
        Value::Mapping(labels) => labels
            .iter()
            .map(|(key, value)| (text_of(key), text_of(value)))
            .collect(),
        Value::Sequence(labels) => labels
            .iter()
            .filter_map(|label| {
                let label = text_of(label);
                let (key, value) = label.split_once('=')?;
                Some((key.to_owned(), value.to_owned()))
            })
            .collect(),
        _ => return None,
    };
    let found = pairs
        .into_iter()
        .find(|(key, _)| key.starts_with("traefik.http.") && key.ends_with(&format!(".{end}")));
    found.map(|(_, value)| value)
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

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}
