//! From a health check that runs inside a container to one that asks from outside.

use super::draft::{DraftValue, quoted};
use std::time::Duration;

/// A health check as Compose or an image has it.
#[derive(Default)]
pub struct Known {
    /// Path that is requested from outside already.
    pub path: Option<String>,
    /// The command, as text.
    pub test: Option<String>,
    pub interval: Option<String>,
    pub timeout: Option<String>,
    pub retries: Option<String>,
    pub start_period: Option<String>,
}

/// The same check as Tidegate makes it, and a remark. A command that asks a URL of its own
/// container is translated, any other one becomes the default.
pub fn translate(known: &Known, port: u16) -> (Option<DraftValue>, Option<String>) {
    let mut keys = Vec::new();
    let mut remark = None;
    let mut key = |name: &str, value: String, why: &str| {
        keys.push((name.to_owned(), value, why.to_owned()));
    };
    let test = known.test.as_deref();
    let path = known.path.clone().or_else(|| path_of(test?, port));
    match (path, test) {
        (Some(path), _) => key("path", quoted(&path), "GET must answer 200"),
        (None, Some(test)) => {
            remark = Some(format!(
                "its own health check runs inside, which Tidegate does not do: {test}\n\
                 any answer below 500 passes; better is a path: healthcheck: {{ path: /healthz }}"
            ));
        }
        // Any answer below 500 is well.
        (None, None) => {}
    }
    for (name, value) in [
        ("interval", &known.interval),
        ("timeout", &known.timeout),
        ("retries", &known.retries),
        ("start_period", &known.start_period),
    ] {
        if let Some(value) = value {
            key(name, value.clone(), "");
        }
    }
    let value = (!keys.is_empty()).then_some(DraftValue::Block(keys));
    (value, remark)
}

/// Names that a container has for itself.
const HERE: &[&str] = &["localhost", "127.0.0.1", "0.0.0.0", "[::1]"];

/// The path of a URL on this very container and port, as in `curl -f http://localhost:8080/up`;
/// curl and wget do not ask for the scheme.
fn path_of(test: &str, port: u16) -> Option<String> {
    let end = |c: char| c.is_whitespace() || ['"', '\'', '|', ';', ')'].contains(&c);
    let words = || test.split(end);
    let asks = words().any(|word| word.ends_with("curl") || word.ends_with("wget"));
    let bare = || words().find(|word| HERE.iter().any(|host| word.starts_with(host)));
    let url = words().find_map(|word| Some(word.split_once("http://")?.1));
    let url = url.or_else(|| bare().filter(|_| asks))?;
    let (authority, path) = match url.find('/') {
        Some(at) => url.split_at(at),
        None => (url, "/"),
    };
    let (host, on) = match authority.rsplit_once(':') {
        Some((host, on)) if !on.ends_with(']') => (host, on.parse().ok()?),
        _ => (authority, 80),
    };
    let is_here = HERE.contains(&host);
    let path = path.split(['?', '#']).next().unwrap_or(path);
    (is_here && on == port).then(|| path.to_owned())
}

/// Text of a duration in the file.
pub fn duration(duration: Duration) -> String {
    humantime::format_duration(duration)
        .to_string()
        .replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_the_container_itself_becomes_a_path() {
        for (test, port, path) in [
            (
                "CMD-SHELL curl -f http://localhost:8080/up || exit 1",
                8080,
                Some("/up"),
            ),
            ("CMD curl -fsS http://127.0.0.1/", 80, Some("/")),
            (
                "CMD wget -qO- 'http://localhost/health?deep=1'",
                80,
                Some("/health"),
            ),
            ("CMD curl http://localhost", 80, Some("/")),
            ("CMD curl http://localhost:9000/up", 80, None),
            ("CMD curl http://db:80/up", 80, None),
            (
                "CMD-SHELL curl --silent --fail localhost:9200/_cluster/health || exit 1",
                9200,
                Some("/_cluster/health"),
            ),
            ("CMD wget -q --spider 127.0.0.1", 80, Some("/")),
            ("CMD-SHELL curl https://localhost/up", 80, None),
            ("CMD pg_isready", 80, None),
            ("CMD redis-cli -h localhost:80/x", 80, None),
        ] {
            assert_eq!(path_of(test, port).as_deref(), path, "{test}");
        }
    }
}
