//! Traefik's rules as routes.

use serde_yaml::Value;

/// Requests of a host and below a path; `None`: of any.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RuleRoute {
    host: Option<String>,
    path: Option<String>,
}

impl RuleRoute {
    /// Requests that are in both; `None`: no single route can say it.
    fn and(&self, other: &RuleRoute) -> Option<RuleRoute> {
        let both = |a: &Option<String>, b: &Option<String>| match (a, b) {
            (Some(a), Some(b)) if a != b => None,
            (a, b) => Some(a.clone().or(b.clone())),
        };
        Some(RuleRoute {
            host: both(&self.host, &other.host)?,
            path: both(&self.path, &other.path)?,
        })
    }
}

/// Routes as a file has them, each once.
pub fn written(routes: Vec<RuleRoute>) -> Value {
    let mut written: Vec<Value> = Vec::new();
    for RuleRoute { host, path } in routes {
        let parts = [("host", host), ("path", path)].into_iter();
        let parts = parts.filter_map(|(key, part)| Some((key.into(), part?.into())));
        let route = Value::Mapping(parts.collect());
        if !written.contains(&route) {
            written.push(route);
        }
    }
    Value::Sequence(written)
}

/// A rule as the routes that claim the same; `None`: it says what no route can.
pub fn routes_of(rule: &str) -> Option<Vec<RuleRoute>> {
    let mut rest = RuleRest(rule);
    let routes = rest.any();
    routes.filter(|_| rest.0.trim().is_empty())
}

/// Rest of a rule that is still to be read. Each method returns `None` where no route can say it.
struct RuleRest<'a>(&'a str);

impl RuleRest<'_> {
    fn eat(&mut self, word: &str) -> bool {
        let rest = self.0.trim_start();
        let eaten = rest.strip_prefix(word);
        self.0 = eaten.unwrap_or(rest);
        eaten.is_some()
    }

    /// `… || …`
    fn any(&mut self) -> Option<Vec<RuleRoute>> {
        let mut routes = self.all()?;
        while self.eat("||") {
            routes.extend(self.all()?);
        }
        Some(routes)
    }

    /// `… && …`, which binds more tightly.
    fn all(&mut self) -> Option<Vec<RuleRoute>> {
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

    fn one(&mut self) -> Option<Vec<RuleRoute>> {
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
            is_plain.then_some(RuleRoute { host, path })
        });
        words.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(rule: &str) -> Option<String> {
        let routes = written(routes_of(rule)?);
        Some(serde_json::to_string(&routes).unwrap())
    }

    #[test]
    fn a_rule_becomes_the_routes_that_claim_the_same() {
        for (rule, routes) in [
            ("Host(`a.com`)", r#"[{"host":"a.com"}]"#),
            (
                "Host(`a.com`) && PathPrefix(`/api`)",
                r#"[{"host":"a.com","path":"/api"}]"#,
            ),
            (
                "Host(`a.com`) || PathPrefix(`/b`)",
                r#"[{"host":"a.com"},{"path":"/b"}]"#,
            ),
            (
                "(Host(`a.com`) && PathPrefix(`/x`)) || Host(`b.com`)",
                r#"[{"host":"a.com","path":"/x"},{"host":"b.com"}]"#,
            ),
            (
                "Host(`a.com`, `b.com`) && (PathPrefix(`/x`) || PathPrefix(`/y`))",
                r#"[{"host":"a.com","path":"/x"},{"host":"a.com","path":"/y"},{"host":"b.com","path":"/x"},{"host":"b.com","path":"/y"}]"#,
            ),
            (
                "Host(\"a.com\")&&Host('a.com') || Host(`a.com`)",
                r#"[{"host":"a.com"}]"#,
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
}
