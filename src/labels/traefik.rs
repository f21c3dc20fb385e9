//! Labels for Traefik, and for others who read labels.

use super::rule::{routes_of, written};
use super::translation::{Label, Translation};
use serde_yaml::Value;
use std::collections::BTreeMap;

/// Reads Traefik's labels, and notes all that nobody here understands but Tidegate's own.
pub fn read(labels: &[Label]) -> Translation {
    let mut read = Translation::default();
    let mut rules: Vec<(&str, &str)> = Vec::new();
    // Kinds of middleware by name.
    let mut middlewares: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut others: Vec<&str> = Vec::new();
    let (mut sticks, mut sleeps, mut is_watched) = (false, false, false);
    for (key, value) in labels {
        // Traefik does not mind how its words are written.
        let lower = key.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('.').collect();
        match parts.as_slice() {
            ["tidegate", ..] => {}
            ["traefik", "enable"] => {
                let enabled = !value.eq_ignore_ascii_case("false");
                read.enabled = Some((key.clone(), enabled));
            }
            ["traefik", "docker" | "swarm", "network"] => read.network = Some(value.clone()),
            ["traefik", "http", "routers", _, "rule"] => rules.push((key, value)),
            ["traefik", "http", "routers", _, "entrypoints" | "service"] => {}
            ["traefik", "http", "routers", _, "tls", rest @ ..] => match rest {
                [] if value == "false" => {}
                [] | ["certresolver"] => read.tls.push((rest.join("."), value.clone())),
                [domain, "main" | "sans"] if domain.starts_with("domains[") => {
                    read.tls.push((rest.join("."), value.clone()));
                }
                _ => others.push(key),
            },
            ["traefik", "http", "routers", _, "middlewares"] => {
                for name in value.split(',').map(str::trim) {
                    middlewares
                        .entry(name.trim_end_matches("@docker"))
                        .or_default();
                }
            }
            ["traefik", "http", "middlewares", _, ..] => {
                let mut parts = key.split('.').skip(3);
                let name = parts.next().unwrap_or_default();
                middlewares.insert(name, parts.next());
            }
            ["traefik", "http", "services", _, "loadbalancer", rest @ ..] => match rest {
                ["server", "port"] => {
                    let port = value.parse::<u16>().ok().map(Value::from);
                    let known = read.get("port");
                    if known.is_some() && known != port.as_ref() {
                        read.remarks.push(format!(
                            "not translated: the label `{key}={value}`; a service has one port"
                        ));
                    } else if let Some(port) = port {
                        read.set("port", port, key);
                    }
                }
                ["server", "scheme"] if value == "http" => {}
                ["passhostheader"] if value != "false" => {}
                ["healthcheck", "path"] => {
                    read.set("healthcheck.path", value.as_str(), key);
                }
                ["healthcheck", "interval"] => {
                    read.set("healthcheck.interval", value.as_str(), key);
                }
                ["healthcheck", "timeout"] => {
                    read.set("healthcheck.timeout", value.as_str(), key);
                }
                ["sticky", ..] => sticks = true,
                _ => others.push(key),
            },
            ["sablier", ..] => sleeps = true,
            ["com", "centurylinklabs", "watchtower", ..] => is_watched = true,
            // Autoheal restarts sick containers, which happens anyway.
            ["autoheal", ..] => {}
            _ => others.push(key),
        }
    }
    read.has_rules = !rules.is_empty();
    let mut routes = Vec::new();
    let first = rules.first().map(|(key, _)| *key);
    for (_, rule) in rules {
        match routes_of(rule) {
            Some(more) => routes.extend(more),
            None => read.remarks.push(format!(
                "not translated: Traefik's rule {rule}; write it as `routes`"
            )),
        }
    }
    if let Some(key) = first.filter(|_| !routes.is_empty()) {
        read.set("routes", written(routes), key);
    }
    for (name, kind) in middlewares {
        let kind = kind.map(str::to_ascii_lowercase);
        let advice = kind.as_deref().map_or("", instead_of);
        let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
        read.remarks.push(format!(
            "not translated: Traefik's middleware `{name}`{kind}{advice}"
        ));
    }
    let advised = [
        (
            sticks,
            "not translated: sticky sessions; `balance: { hash: { cookie: NAME } }` goes by a \
             cookie of the program's own",
        ),
        (
            sleeps,
            "not translated: Sablier; `scale: { min: 0, idle_timeout: 5m }` lets it sleep without requests",
        ),
        (
            is_watched,
            "not translated: Watchtower; `tidegate deploy` rolls out the present content of a tag",
        ),
    ];
    let advised = advised.iter().filter(|(applies, _)| *applies);
    read.remarks
        .extend(advised.map(|(_, advice)| (*advice).to_owned()));
    for key in others {
        read.remarks
            .push(format!("not translated: the label `{key}`"));
    }
    read
}

/// Advice on what replaces a middleware.
fn instead_of(kind: &str) -> &'static str {
    match kind {
        "basicauth" | "digestauth" | "forwardauth" | "ipallowlist" | "ipwhitelist" => {
            ": EVERYBODY HAS ACCESS HERE; the program, or a proxy in front of Tidegate, has to check"
        }
        "stripprefix" | "stripprefixregex" | "addprefix" | "replacepath" | "replacepathregex" => {
            "; paths arrive unchanged"
        }
        "redirectscheme" => "; `tls.redirect` is on by default",
        "redirectregex" => "; the program, or a proxy in front, has to redirect",
        "retry" => "; `retries` is on by default",
        "inflightreq" => "; `container_concurrency` queues the requests above a limit",
        "circuitbreaker" => "; `outlier_detection` is on by default",
        "buffering" => "; `max_request_body` and `max_response_body` are limits",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_label_asks_for_is_lost_without_a_word() {
        let labels = [
            ("traefik.enable", "true"),
            ("traefik.docker.network", "edge"),
            ("traefik.http.routers.a.rule", "Host(`a.com`)"),
            ("traefik.http.routers.a.entrypoints", "websecure"),
            ("traefik.http.routers.a.tls", "true"),
            ("traefik.http.routers.a.tls.certResolver", "le"),
            ("traefik.http.routers.a.tls.domains[0].main", "a.com"),
            ("traefik.http.routers.a.tls.options", "modern@file"),
            ("traefik.http.routers.b.tls", "false"),
            ("traefik.http.routers.a.middlewares", "auth, strip@file"),
            ("traefik.http.routers.a.priority", "7"),
            ("traefik.http.routers.b.rule", "Host(`b.com`)"),
            ("traefik.http.routers.c.rule", "HostRegexp(`.+`)"),
            ("traefik.http.middlewares.auth.basicauth.users", "me:x"),
            ("traefik.http.services.a.loadbalancer.server.port", "8080"),
            ("traefik.http.services.b.loadbalancer.server.port", "9090"),
            (
                "traefik.http.services.a.loadbalancer.healthCheck.path",
                "/up",
            ),
            ("traefik.http.services.a.loadbalancer.sticky.cookie", "true"),
            ("traefik.tcp.routers.a.rule", "HostSNI(`*`)"),
            ("sablier.group", "a"),
            ("com.example.team", "shop"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let read = read(&labels);
        let keys = "port: 8080\nhealthcheck: { path: /up }\n\
                    routes: [{ host: a.com }, { host: b.com }]";
        let keys: Value = serde_yaml::from_str(keys).unwrap();
        let found = Value::Mapping(read.keys.clone());
        assert_eq!(found, keys, "what can be said is");
        let tls = [
            ("", "true"),
            ("certresolver", "le"),
            ("domains[0].main", "a.com"),
        ];
        let tls = tls.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(read.tls, tls);
        assert_eq!(read.disabled_by(), None);
        assert_eq!(read.network.as_deref(), Some("edge"));
        let expected = [
            "the label `traefik.http.services.b.loadbalancer.server.port=9090`; a service has",
            "Traefik's rule HostRegexp(`.+`)",
            "Traefik's middleware `auth` (basicauth): EVERYBODY HAS ACCESS HERE",
            "Traefik's middleware `strip@file`",
            "sticky sessions",
            "Sablier",
            "the label `traefik.http.routers.a.tls.options`",
            "the label `traefik.http.routers.a.priority`",
            "the label `traefik.tcp.routers.a.rule`",
            "the label `com.example.team`",
        ];
        assert_eq!(read.remarks.len(), expected.len(), "{:#?}", read.remarks);
        for (remark, expected) in read.remarks.iter().zip(expected) {
            let remark = remark.strip_prefix("not translated: ").unwrap_or(remark);
            assert!(remark.starts_with(expected), "{remark}");
        }
    }
}
