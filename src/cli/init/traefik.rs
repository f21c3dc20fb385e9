//! What labels say to Traefik, and to others who read labels. What cannot be translated is said.

use super::draft::quoted;
use std::collections::BTreeMap;

/// What the rules of all routers come to.
#[derive(Default, PartialEq, Eq, Debug)]
pub enum Claim {
    /// There is no rule.
    #[default]
    Unsaid,
    /// As `routes`.
    Routes(String),
    /// There are rules, and no route can say any of them.
    Untold,
}

/// What a service's labels ask for.
#[derive(Default)]
pub struct Labels {
    /// `traefik.enable=false`.
    pub is_disabled: bool,
    pub claim: Claim,
    pub port: Option<u16>,
    pub health_path: Option<String>,
    pub health_interval: Option<String>,
    pub health_timeout: Option<String>,
    /// The network by which Traefik comes in, as Docker names it.
    pub network: Option<String>,
    pub remarks: Vec<String>,
}

pub fn read(labels: &[(String, String)]) -> Labels {
    let mut told = Labels::default();
    let mut rules: Vec<&str> = Vec::new();
    // By name: what kind of middleware it is.
    let mut middlewares: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let mut others: Vec<&str> = Vec::new();
    let (mut has_tls, mut sticks, mut sleeps, mut is_watched) = (false, false, false, false);
    for (key, value) in labels {
        // Traefik does not mind how its words are written.
        let lower = key.to_ascii_lowercase();
        let parts: Vec<&str> = lower.split('.').collect();
        match parts.as_slice() {
            ["traefik", "enable"] => told.is_disabled = value.eq_ignore_ascii_case("false"),
            ["traefik", "docker" | "swarm", "network"] => told.network = Some(value.clone()),
            ["traefik", "http", "routers", _, "rule"] => rules.push(value),
            ["traefik", "http", "routers", _, "entrypoints" | "service"] => {}
            ["traefik", "http", "routers", _, "tls", ..] => has_tls |= value != "false",
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
                    let port = value.parse().ok();
                    if told.port.is_some() && told.port != port {
                        told.remarks.push(format!(
                            "not translated: the label `{key}={value}`; a service has one port"
                        ));
                    } else {
                        told.port = port;
                    }
                }
                ["server", "scheme"] if value == "http" => {}
                ["passhostheader"] if value != "false" => {}
                ["healthcheck", "path"] => told.health_path = Some(value.clone()),
                ["healthcheck", "interval"] => told.health_interval = Some(value.clone()),
                ["healthcheck", "timeout"] => told.health_timeout = Some(value.clone()),
                ["sticky", ..] => sticks = true,
                _ => others.push(key),
            },
            ["sablier", ..] => sleeps = true,
            ["com", "centurylinklabs", "watchtower", ..] => is_watched = true,
            // What it asks for happens anyway.
            ["autoheal", ..] => {}
            _ => others.push(key),
        }
    }
    if !rules.is_empty() {
        let mut routes = Vec::new();
        for rule in rules {
            match routes_of(rule) {
                Some(more) => routes.extend(more),
                None => told.remarks.push(format!(
                    "not translated: Traefik's rule {rule}; write what it claims as `routes`"
                )),
            }
        }
        told.claim = match routes.is_empty() {
            true => Claim::Untold,
            false => Claim::Routes(written(routes)),
        };
    }
    for (name, kind) in middlewares {
        let kind = kind.map(str::to_ascii_lowercase);
        let advice = kind.as_deref().map_or("", instead_of);
        let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
        told.remarks.push(format!(
            "not translated: Traefik's middleware `{name}`{kind}{advice}"
        ));
    }
    let advised = [
        (
            has_tls,
            "not translated: TLS; what is in front of Tidegate has to end it",
        ),
        (
            sticks,
            "not translated: sticky sessions; `balance: { hash: { cookie: NAME } }` goes by a \
             cookie of the program's own",
        ),
        (
            sleeps,
            "not translated: Sablier; `scale: { min: 0, idle_timeout: 5m }` lets it sleep while nobody asks",
        ),
        (
            is_watched,
            "not translated: Watchtower; `tidegate deploy` rolls out what a tag stands for by then",
        ),
    ];
    let advised = advised.iter().filter(|(applies, _)| *applies);
    told.remarks
        .extend(advised.map(|(_, advice)| (*advice).to_owned()));
    for key in others {
        told.remarks
            .push(format!("not translated: the label `{key}`"));
    }
    told
}

/// What to have instead of a middleware.
fn instead_of(kind: &str) -> &'static str {
    match kind {
        "basicauth" | "digestauth" | "forwardauth" | "ipallowlist" | "ipwhitelist" => {
            ": EVERYBODY COMES IN HERE; the program, or what is in front of Tidegate, has to check"
        }
        "stripprefix" | "stripprefixregex" | "addprefix" | "replacepath" | "replacepathregex" => {
            "; paths arrive as they were asked for"
        }
        "redirectscheme" | "redirectregex" => "; the program, or what is in front, redirects",
        "retry" => "; `retries` is on by default",
        "inflightreq" => "; `container_concurrency` lets what is over wait",
        "circuitbreaker" => "; `outlier_detection` is on by default",
        "buffering" => "; `max_request_body` and `max_response_body` are limits",
        _ => "",
    }
}

/// What a service claims. None of a part: whatever it is.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Route {
    host: Option<String>,
    path: Option<String>,
}

impl Route {
    /// What both claim; `None`: nothing that one route can say.
    fn and(&self, other: &Route) -> Option<Route> {
        let both = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) if a != b => None,
            (a, b) => Some(a.clone().or(b.clone())),
        };
        Some(Route {
            host: both(&self.host, &other.host)?,
            path: both(&self.path, &other.path)?,
        })
    }
}

fn written(routes: Vec<Route>) -> String {
    let mut written: Vec<String> = Vec::new();
    for Route { host, path } in routes {
        let host = host.map(|host| format!("host: {}", quoted(&host)));
        let path = path.map(|path| format!("path: {}", quoted(&path)));
        let parts: Vec<String> = host.into_iter().chain(path).collect();
        let route = format!("{{ {} }}", parts.join(", "));
        if !written.contains(&route) {
            written.push(route);
        }
    }
    format!("[{}]", written.join(", "))
}

/// A rule as the routes that claim the same; `None`: it says what no route can.
fn routes_of(rule: &str) -> Option<Vec<Route>> {
    let mut rest = Rest(rule);
    let routes = rest.any();
    routes.filter(|_| rest.0.trim().is_empty())
}

/// What is left to be read of a rule. Everything answers `None` where no route can say it.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn eat(&mut self, word: &str) -> bool {
        let rest = self.0.trim_start();
        let eaten = rest.strip_prefix(word);
        self.0 = eaten.unwrap_or(rest);
        eaten.is_some()
    }

    /// `… || …`
    fn any(&mut self) -> Option<Vec<Route>> {
        let mut routes = self.all()?;
        while self.eat("||") {
            routes.extend(self.all()?);
        }
        Some(routes)
    }

    /// `… && …`, which binds more tightly.
    fn all(&mut self) -> Option<Vec<Route>> {
        let mut routes = self.one()?;
        while self.eat("&&") {
            let others = self.one()?;
            let pairs = routes
                .iter()
                .flat_map(|route| others.iter().map(|other| route.and(other)));
            routes = pairs.collect::<Option<_>>()?;
        }
        Some(routes)
    }

    fn one(&mut self) -> Option<Vec<Route>> {
        if self.eat("(") {
            let routes = self.any()?;
            return self.eat(")").then_some(routes);
        }
        let is_host = self.eat("Host(");
        if !is_host && !self.eat("PathPrefix(") {
            return None;
        }
        let (inside, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let words = inside.split(',').map(|word| {
            let word = word.trim().trim_matches(['`', '"', '\'']).to_owned();
            let is_plain = !word.is_empty() && !word.contains(['{', '}', '`']);
            let (host, path) = match is_host {
                true => (Some(word), None),
                false => (None, Some(word)),
            };
            is_plain.then_some(Route { host, path })
        });
        words.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(rule: &str) -> Option<String> {
        routes_of(rule).map(written)
    }

    #[test]
    fn a_rule_becomes_the_routes_that_claim_the_same() {
        for (rule, routes) in [
            ("Host(`a.com`)", "[{ host: a.com }]"),
            (
                "Host(`a.com`) && PathPrefix(`/api`)",
                "[{ host: a.com, path: /api }]",
            ),
            (
                "Host(`a.com`) || PathPrefix(`/b`)",
                "[{ host: a.com }, { path: /b }]",
            ),
            (
                "(Host(`a.com`) && PathPrefix(`/x`)) || Host(`b.com`)",
                "[{ host: a.com, path: /x }, { host: b.com }]",
            ),
            (
                "Host(`a.com`, `b.com`) && (PathPrefix(`/x`) || PathPrefix(`/y`))",
                "[{ host: a.com, path: /x }, { host: a.com, path: /y }, \
                  { host: b.com, path: /x }, { host: b.com, path: /y }]",
            ),
            (
                "Host(\"a.com\")&&Host('a.com') || Host(`a.com`)",
                "[{ host: a.com }]",
            ),
        ] {
            assert_eq!(translated(rule).as_deref(), Some(routes), "{rule}");
        }
    }

    #[test]
    fn a_rule_that_no_route_can_say_is_none() {
        for rule in [
            "",
            "Host(`a.com`) && Headers(`X`, `y`)",
            "Host(`a.com`) && Path(`/x`)",
            "Host(`a.com`) && !PathPrefix(`/x`)",
            "Host(`a.com`) && Host(`b.com`)",
            "HostRegexp(`.+`)",
            "Host(`{sub:.+}.com`)",
            "Host(`a.com`) &&",
            "(Host(`a.com`)",
            "Host(`a.com`))",
            "Host(`a.com`) PathPrefix(`/x`)",
            "Host()",
        ] {
            assert_eq!(translated(rule), None, "{rule}");
        }
    }

    #[test]
    fn nothing_that_a_label_asks_for_is_lost_without_a_word() {
        let labels = [
            ("traefik.enable", "true"),
            ("traefik.docker.network", "edge"),
            ("traefik.http.routers.a.rule", "Host(`a.com`)"),
            ("traefik.http.routers.a.entrypoints", "websecure"),
            ("traefik.http.routers.a.tls.certresolver", "le"),
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
        let told = read(&labels);
        let claimed = Claim::Routes("[{ host: a.com }, { host: b.com }]".to_owned());
        assert_eq!(told.claim, claimed, "what can be said is");
        assert_eq!((told.port, told.is_disabled), (Some(8080), false));
        assert_eq!(told.network.as_deref(), Some("edge"));
        assert_eq!(told.health_path.as_deref(), Some("/up"));
        let expected = [
            "the label `traefik.http.services.b.loadbalancer.server.port=9090`; a service has",
            "Traefik's rule HostRegexp(`.+`)",
            "Traefik's middleware `auth` (basicauth): EVERYBODY COMES IN HERE",
            "Traefik's middleware `strip@file`",
            "TLS; what is in front",
            "sticky sessions",
            "Sablier",
            "the label `traefik.http.routers.a.priority`",
            "the label `traefik.tcp.routers.a.rule`",
            "the label `com.example.team`",
        ];
        assert_eq!(told.remarks.len(), expected.len(), "{:#?}", told.remarks);
        for (remark, expected) in told.remarks.iter().zip(expected) {
            let remark = remark.strip_prefix("not translated: ").unwrap_or(remark);
            assert!(remark.starts_with(expected), "{remark}");
        }
    }
}
