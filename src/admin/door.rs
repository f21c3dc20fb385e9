//! Who may do what: pages of others may nothing, and writing needs the token or the socket.

use super::{Admin, problem};
use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// Wrong tokens that an address may show before its answers are slow.
const FAILURES_MAX: u32 = 10;
/// How long they are slow, counted from the last wrong one.
const SUSPECTED_FOR: Duration = Duration::from_secs(60);
/// How slow: no guess is told right from wrong before, so guessing is bounded by how many
/// connections there are, and the right token gets in all the same.
const SLOW_BY: Duration = Duration::from_secs(3);
/// Addresses that are remembered; beyond, the one that failed longest ago is forgotten.
const ADDRESSES_MAX: usize = 1024;

/// How a request came in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Tcp,
    /// The unix socket: whoever may open it may write.
    Socket,
}

/// Refuses what a browser sends for a page that is not ours. A link that is followed to a page of
/// ours is no harm.
pub async fn same_origin(
    State(admin): State<Admin>,
    Extension(door): Extension<Door>,
    request: Request,
    next: Next,
) -> Response {
    // Scrapers and probes have names of their own for us, and learn little there.
    let is_open = ["/metrics", "/healthz", "/readyz"].contains(&request.uri().path());
    if door == Door::Tcp
        && !is_open
        && may_be_rebound(request.uri(), request.headers(), &admin.hosts)
    {
        return problem(
            StatusCode::FORBIDDEN,
            "this name is not known to be Tidegate's, and any page could make a browser use it; \
             ask by the address, or write the name under `admin.hosts`",
        );
    }
    if is_foreign(request.method(), request.uri(), request.headers()) {
        return problem(
            StatusCode::FORBIDDEN,
            "a page of another origin sent this; open the dashboard at this address itself, or \
             ask without a browser",
        );
    }
    next.run(request).await
}

fn is_foreign(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_read = method == Method::GET || method == Method::HEAD;
    let is_visit =
        is_read && text(header::HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
    let site = text(header::HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| !["same-origin", "none"].contains(&site)) && !is_visit {
        return true;
    }
    let Some(origin) = text(header::ORIGIN) else {
        return false;
    };
    let host = uri.authority().map(|authority| authority.as_str());
    let host = host.or(text(header::HOST)).unwrap_or_default();
    let (_, from) = origin.split_once("://").unwrap_or_default();
    host.is_empty() || !from.eq_ignore_ascii_case(host)
}

/// Whether somebody else may have given us the name that a request asks for, to have a browser
/// take a page of theirs for ours. Names of one label, as `localhost`, are in nobody's gift.
fn may_be_rebound(uri: &Uri, headers: &HeaderMap, known: &[String]) -> bool {
    let of_header = || headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    let Some(authority) = uri.authority().cloned().or_else(of_header) else {
        return true;
    };
    let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_address = bare.parse::<IpAddr>().is_ok();
    let is_local = !name.contains('.') || name.ends_with(".localhost");
    !is_address && !is_local && !known.contains(&name)
}

pub async fn may_write(
    State(admin): State<Admin>,
    Extension(door): Extension<Door>,
    client: Option<Extension<ConnectInfo<SocketAddr>>>,
    request: Request,
    next: Next,
) -> Response {
    if door == Door::Socket {
        return next.run(request).await;
    }
    let client = client.map(|Extension(ConnectInfo(address))| address.ip());
    let is_right = has_token(request.headers(), &admin.token);
    // A request without a token guesses nothing.
    if request.headers().contains_key(header::AUTHORIZATION) {
        let is_suspected = admin.failures.are_many(client, Instant::now());
        match is_right {
            // One address may stand for many clients, who do not vouch for each other.
            true if is_suspected => {}
            true => admin.failures.forget(client),
            false => admin.failures.note(client, Instant::now()),
        }
        if is_suspected {
            tokio::time::sleep(SLOW_BY).await;
        }
    }
    if is_right {
        return next.run(request).await;
    }
    let problem = problem(
        StatusCode::UNAUTHORIZED,
        "writing needs `Authorization: Bearer TOKEN`; the token is in TIDEGATE_ADMIN_TOKEN or in \
         the file `admin-token` in the state folder",
    );
    ([(header::WWW_AUTHENTICATE, "Bearer")], problem).into_response()
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    // The time depends on the lengths alone.
    !token.is_empty() && bool::from(given.as_bytes().ct_eq(token.as_bytes()))
}

/// Wrong tokens lately, by address.
#[derive(Clone, Default)]
pub struct Failures(Arc<Mutex<BTreeMap<Option<IpAddr>, Failed>>>);

#[derive(Clone, Copy)]
struct Failed {
    count: u32,
    last: Instant,
}

impl Failures {
    fn are_many(&self, address: Option<IpAddr>, now: Instant) -> bool {
        let held = self.held();
        held.get(&whole(address)).is_some_and(|failed| {
            failed.count >= FAILURES_MAX && now.duration_since(failed.last) < SUSPECTED_FOR
        })
    }

    fn note(&self, address: Option<IpAddr>, now: Instant) {
        let mut held = self.held();
        held.retain(|_, failed| now.duration_since(failed.last) < SUSPECTED_FOR);
        let key = whole(address);
        if held.len() >= ADDRESSES_MAX && !held.contains_key(&key) {
            let oldest = held.iter().min_by_key(|(_, failed)| failed.last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                held.remove(&oldest);
            }
        }
        let count = held.get(&key).map_or(0, |failed| failed.count);
        let failed = Failed {
            count: count.saturating_add(1),
            last: now,
        };
        held.insert(key, failed);
    }

    fn forget(&self, address: Option<IpAddr>) {
        self.held().remove(&whole(address));
    }

    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<Option<IpAddr>, Failed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has one IPv6 address has the 64 bits behind it.
fn whole(address: Option<IpAddr>) -> Option<IpAddr> {
    address.map(|address| match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        v4 => v4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_origins_are_told_apart() {
        let foreign = |method: Method, headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                let name = header::HeaderName::from_static(name);
                (name, header::HeaderValue::from_static(value))
            });
            let uri = Uri::from_static("/api/v1/reload");
            is_foreign(&method, &uri, &headers.collect())
        };
        let host = ("host", "127.0.0.1:9180");
        for headers in [
            &[host][..],
            &[host, ("origin", "http://127.0.0.1:9180")],
            &[host, ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            assert!(!foreign(Method::POST, headers), "{headers:?}");
        }
        for headers in [
            &[host, ("origin", "https://evil.example")][..],
            &[host, ("origin", "http://127.0.0.1:80")],
            &[host, ("origin", "http://127.0.0.1")],
            &[host, ("origin", "null")],
            &[host, ("origin", "")],
            &[("origin", "http://127.0.0.1:9180")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site")],
            &[
                host,
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
            ],
        ] {
            assert!(foreign(Method::POST, headers), "{headers:?}");
        }
        let link = &[
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert!(!foreign(Method::GET, link));
        let fetched = &[
            host,
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "no-cors"),
        ];
        assert!(foreign(Method::GET, fetched));
    }

    #[test]
    fn a_name_that_anybody_could_have_given_us_is_told_apart() {
        let rebound = |host: &'static str| {
            let host = header::HeaderValue::from_static(host);
            let headers = HeaderMap::from_iter([(header::HOST, host)]);
            let known = ["edge.example.com".to_owned()];
            may_be_rebound(&Uri::from_static("/api/v1/events"), &headers, &known)
        };
        for host in [
            "127.0.0.1:9180",
            "[::1]:9180",
            "10.0.0.7",
            "localhost:9180",
            "tidegate:9180",
            "edge.localhost",
            "Edge.Example.com:9180",
            "edge.example.com.",
        ] {
            assert!(!rebound(host), "{host}");
        }
        for host in ["evil.example:9180", "127.0.0.1.evil.example", "", "a b.c"] {
            assert!(rebound(host), "{host}");
        }
    }

    #[test]
    fn guesses_make_an_address_suspected_for_a_while_and_no_other() {
        let failures = Failures::default();
        let [a, b]: [Option<IpAddr>; 2] = ["10.0.0.1", "10.0.0.2"].map(|it| it.parse().ok());
        let began = Instant::now();
        for _ in 0..FAILURES_MAX {
            assert!(!failures.are_many(a, began));
            failures.note(a, began);
        }
        assert!(failures.are_many(a, began));
        assert!(!failures.are_many(b, began));
        assert!(!failures.are_many(a, began + SUSPECTED_FOR));
        failures.note(b, began);
        failures.forget(b);
        assert!(!failures.held().contains_key(&b));
    }

    #[test]
    fn an_ipv6_network_is_one_guesser_and_the_memory_has_an_end() {
        let failures = Failures::default();
        let now = Instant::now();
        for host in 0..u128::from(FAILURES_MAX) {
            let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) | host);
            failures.note(Some(address.into()), now);
        }
        assert!(failures.are_many("2001:db8::ffff".parse().ok(), now));
        for host in 0..2 * ADDRESSES_MAX as u32 {
            failures.note(Some(IpAddr::from(host.to_be_bytes())), now);
        }
        assert_eq!(failures.held().len(), ADDRESSES_MAX);
    }
}
