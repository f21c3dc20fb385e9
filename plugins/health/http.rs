use super::backend::{LAST_RESORT, backend, in_words};
use super::status::status;
use crate::plugin::prelude::*;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::{Error, ErrorType};
use pingora_load_balancing::health_check::{HealthCheck, HttpHealthCheck};
use serde::de::{Deserializer, SeqAccess, Unexpected, Visitor};
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

/// A replica is healthy when it answers `GET path` with an expected status.
///
/// Every check makes a connection of its own: a connection that is already open can outlive the
/// program behind it, and one handshake a second costs nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Path and query of the request.
    #[serde(default = "default_path")]
    path: String,
    /// The `Host` header.
    #[serde(default = "default_host")]
    host: String,
    /// Healthy statuses: `200`, `2xx`, or a list as in `[200, 204]`.
    #[serde(default)]
    expect: Expect,
}

fn default_path() -> String {
    "/".into()
}

pub(super) fn default_host() -> String {
    "localhost".into()
}

impl Plugin for Http {
    const NAME: &'static str = "http";

    fn install(self, hooks: &mut Hooks) -> Result<(), PluginError> {
        let expect = self.expect;
        let is_expected = move |status| expect.holds(status);
        let upstream = hooks.upstream();
        let asked = Asked::new(&self.path, &self.host, LAST_RESORT, upstream, is_expected)?;
        hooks.probe(asked);
        Ok(())
    }
}

fn request(path: &str, host: &str) -> pingora::Result<RequestHeader> {
    let mut request = RequestHeader::build(Method::GET, path.as_bytes(), Some(2))?;
    request.insert_header("Host", host)?;
    request.insert_header("User-Agent", "tidegate")?;
    Ok(request)
}

/// A request and the statuses that are a healthy answer to it.
pub(super) struct Asked {
    request: RequestHeader,
    /// The longest silence before an answer.
    silence: Duration,
    is_well: Arc<dyn Fn(u16) -> bool + Send + Sync>,
    path: String,
    host: String,
    upstream: Upstream,
    check: OnceLock<HttpHealthCheck>,
}

impl Asked {
    pub fn new(
        path: &str,
        host: &str,
        silence: Duration,
        upstream: &Upstream,
        is_well: impl Fn(u16) -> bool + Send + Sync + 'static,
    ) -> Result<Asked, PluginError> {
        if !path.starts_with('/') {
            return Err(PluginError::new("`path` must begin with a slash"));
        }
        let request = request(path, host)
            .map_err(|_| PluginError::new("`path` or `host` holds characters that HTTP forbids"))?;
        Ok(Asked {
            request,
            silence,
            is_well: Arc::new(is_well),
            path: path.to_owned(),
            host: host.to_owned(),
            upstream: upstream.clone(),
            check: OnceLock::new(),
        })
    }

    fn health_check(&self) -> HttpHealthCheck {
        // Plain HTTP needs no certificates; without this, each check would parse those of every
        // authority of the platform, twice.
        let mut options = ConnectorOptions::new(0);
        options.ca_file = Some("/dev/null".into());
        let connector = Connector::new(Some(options));
        let mut check = HttpHealthCheck::new_custom("localhost", false, connector);
        check.req = self.request.clone();
        check.peer_template.options.connection_timeout = Some(LAST_RESORT);
        check.peer_template.options.read_timeout = Some(self.silence);
        check.peer_template.options.write_timeout = Some(LAST_RESORT);
        let is_well = Arc::clone(&self.is_well);
        check.validator = Some(Box::new(move |answer: &ResponseHeader| {
            let status = answer.status.as_u16();
            match is_well(status) {
                true => Ok(()),
                false => Error::e_explain(ErrorType::HTTPStatus(status), "unexpected status"),
            }
        }));
        check
    }

    pub async fn check(&self, address: SocketAddr) -> pingora::Result<()> {
        if self.upstream != Upstream::default() {
            let upstream = &self.upstream;
            let asked = status(upstream, address, &self.host, &self.path, self.silence).await?;
            return match (self.is_well)(asked) {
                true => Ok(()),
                false => Error::e_explain(ErrorType::HTTPStatus(asked), "unexpected status"),
            };
        }
        let check = self.check.get_or_init(|| self.health_check());
        check.check(&backend(address)).await
    }

    pub fn in_words(&self, error: &Error) -> String {
        let path = &self.path;
        match error.etype() {
            // Mostly a path that this image does not have.
            ErrorType::HTTPStatus(404) => format!(
                "answered 404 to GET {path}; `healthcheck.path` or `--healthcheck` says what is \
                 asked"
            ),
            ErrorType::HTTPStatus(status) => format!("answered {status} to GET {path}"),
            _ => in_words(error),
        }
    }
}

#[async_trait]
impl Probe for Asked {
    async fn check(&self, address: SocketAddr) -> Result<(), String> {
        let checked = Asked::check(self, address).await;
        checked.map_err(|error| self.in_words(&error))
    }
}

/// The statuses that count as healthy.
#[derive(Clone)]
struct Expect(Vec<RangeInclusive<u16>>);

impl Expect {
    fn holds(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for Expect {
    fn default() -> Self {
        Expect(vec![200..=200])
    }
}

impl<'de> Deserialize<'de> for Expect {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExpectVisitor)
    }
}

struct ExpectVisitor;

impl<'de> Visitor<'de> for ExpectVisitor {
    type Value = Expect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status such as 200, a class such as 2xx, or a list of them")
    }

    fn visit_u64<E: serde::de::Error>(self, status: u64) -> Result<Expect, E> {
        match u16::try_from(status) {
            Ok(status @ 100..=599) => Ok(Expect(vec![status..=status])),
            _ => Err(E::invalid_value(Unexpected::Unsigned(status), &self)),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Expect, E> {
        if let Ok(status) = text.parse() {
            return self.visit_u64(status);
        }
        match text.as_bytes() {
            [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => {
                let first = u16::from(class - b'0') * 100;
                Ok(Expect(vec![first..=first + 99]))
            }
            _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Expect, A::Error> {
        let mut all = vec![];
        while let Some(Expect(ranges)) = list.next_element()? {
            all.extend(ranges);
        }
        match all.is_empty() {
            true => Err(serde::de::Error::invalid_length(0, &self)),
            false => Ok(Expect(all)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Checks a server that sends `answer` to any request; returns the result and the request.
    async fn check(yaml: &str, answer: &'static str) -> (Result<(), String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = client.read(&mut asked).await.unwrap();
            client.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let probe = testing::install::<Http>(yaml).unwrap().probe.unwrap();
        let verdict = probe.check(address).await;
        (verdict, server.await.unwrap())
    }

    #[tokio::test]
    async fn the_expected_status_is_healthy_and_any_other_is_told() {
        const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        const BROKEN: &str = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";
        const EMPTY: &str = "HTTP/1.1 204 No\r\n\r\n";
        let told = |text: &str| Err(text.to_string());
        for (yaml, answer, verdict) in [
            ("", OK, Ok(())),
            ("", BROKEN, told("answered 500 to GET /")),
            ("path: /up", EMPTY, told("answered 204 to GET /up")),
            ("expect: 2xx", EMPTY, Ok(())),
            ("expect: [200, 204]", EMPTY, Ok(())),
            ("expect: 500", BROKEN, Ok(())),
            ("", "", told("closed the connection without an answer")),
            (
                "",
                "SSH-2.0-OpenSSH_9.2\r\n\r\n",
                told("the answer is not HTTP"),
            ),
        ] {
            assert_eq!(check(yaml, answer).await.0, verdict, "{yaml:?} {answer:?}");
        }
    }

    #[tokio::test]
    async fn it_asks_for_the_path_with_the_host() {
        let (_, asked) = check("{ path: /up?x=1, host: shop.example }", "").await;
        assert!(asked.starts_with("GET /up?x=1 HTTP/1.1\r\n"), "{asked}");
        assert!(asked.contains("Host: shop.example\r\n"), "{asked}");
    }

    #[tokio::test]
    async fn a_closed_port_and_a_silent_program_are_unhealthy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let probe = testing::install::<Http>("").unwrap().probe.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(50), probe.check(address));
        assert!(silence.await.is_err(), "only the caller's timeout ends it");
        drop(listener);
        assert_eq!(
            probe.check(address).await,
            Err("connection refused".to_string())
        );
    }

    #[test]
    fn bad_values_are_explained() {
        for (yaml, problem) in [
            ("expect: 2x", "such as 200, a class such as 2xx, or a list"),
            ("expect: 99", "expected a status such as 200"),
            ("expect: []", "expected a status such as 200"),
            ("path: up", "must begin with a slash"),
            ("host: \"a\\nb\"", "characters that HTTP forbids"),
            ("pth: /", "unknown field `pth`, expected one of `path`"),
        ] {
            let error = testing::install::<Http>(yaml).err().expect(yaml);
            assert!(error.contains(problem), "{yaml:?}: {error}");
        }
    }
}
