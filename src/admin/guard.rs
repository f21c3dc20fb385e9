//! Guards: pages of other origins may do nothing, and writing needs the token or the socket.

use super::context::Admin;
use super::door::Door;
use super::problem::problem;
use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// Delay of answers to a suspected address. No guess is told right from wrong before, so the number of
/// connections bounds guessing, and the right token gets in all the same.
const SLOW_BY: Duration = Duration::from_secs(3);
/// Refuses requests that a browser sends for a page of another origin. A followed link is no harm.
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

/// Whether a stranger may have pointed the requested name at this address (DNS rebinding), so that a
/// browser takes a page of theirs for ours. No stranger controls names of one label, as `localhost`.
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

/// Lets requests through that came by the socket or have the token.
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
}
