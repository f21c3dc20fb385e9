//! Rules about TLS that hold for requests: challenges of certificate authorities, redirects to
//! https, connections for another policy, certificates of clients, and HSTS.

use super::context::Context;
use crate::certs::CertName;
use crate::certs::challenges::HTTP_01_PATH;
use crate::certs::table::Table;
use crate::plugin::Answer;
use crate::proxy::answers::own::plain;
use crate::proxy::http1::fields::{asks_for_websocket, host};
use crate::proxy::route::host_name;
use crate::proxy::tls::{FINGERPRINT, PolicyId, SUBJECT, TlsPolicies};
use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use std::net::IpAddr;

/// Beginning of the names of headers about a client's certificate.
const CLIENT_CERTIFICATE: &str = "x-client-cert-";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Answer to a request that came over the wrong connection, or that an authority sent.
pub fn instead(head: &RequestHeader, ctx: &Context) -> Option<Answer> {
    let tls = ctx.settings.tls.as_ref()?;
    if let Some(token) = head.uri.path().strip_prefix(HTTP_01_PATH) {
        // Without an answer of ours, the service may have one.
        return tls.shared.challenges.http(token).map(challenge);
    }
    let is_clear = ctx.scheme != Scheme::HTTPS;
    if is_clear
        && tls.redirect
        && !was_secure(head, ctx)
        && let Some(answer) = redirect(head, tls)
    {
        return Some(answer);
    }
    if !tls.asks_clients() {
        return None;
    }
    let followed = ctx.tls.as_ref().map(|facts| facts.policy);
    let wanted = wanted_policy(head, tls);
    (wanted != PolicyId::ANYBODY && followed != Some(wanted))
        .then(|| plain(StatusCode::MISDIRECTED_REQUEST))
}

fn challenge(key_authorization: std::sync::Arc<str>) -> Answer {
    Answer {
        status: StatusCode::OK,
        headers: vec![(
            "content-type",
            HeaderValue::from_static("application/octet-stream"),
        )],
        body: Bytes::copy_from_slice(key_authorization.as_bytes()),
    }
}

/// Whether TLS ended at a trusted proxy.
fn was_secure(head: &RequestHeader, ctx: &Context) -> bool {
    let proto = head.headers.get(FORWARDED_PROTO);
    let is_https = |proto: &HeaderValue| proto.as_bytes().eq_ignore_ascii_case(b"https");
    ctx.exchange.is_trusted && proto.is_some_and(is_https)
}

/// The same address with `https`, where a certificate is there. A WebSocket cannot follow it.
fn redirect(head: &RequestHeader, tls: &TlsPolicies) -> Option<Answer> {
    let room = &mut None;
    let name = host_name(host(head)?, room)?;
    if !is_certified(&tls.shared.certificates.load(), name) || asks_for_websocket(head) {
        return None;
    }
    let target = head.uri.path_and_query().map_or("/", |it| it.as_str());
    let location = format!("https://{name}{}{target}", tls.port);
    let status = StatusCode::PERMANENT_REDIRECT;
    let mut answer = plain(status);
    let location = HeaderValue::from_str(&location).ok()?;
    answer.headers.push((header::LOCATION.as_str(), location));
    Some(answer)
}

fn is_certified(table: &Table, name: &str) -> bool {
    match address(name) {
        Some(address) => !table.for_address(address).is_empty(),
        None => !table.for_name(name).is_empty(),
    }
}

fn address(name: &str) -> Option<IpAddr> {
    let inner = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    inner.unwrap_or(name).parse().ok()
}

/// Policy that the request's host asks for.
fn wanted_policy(head: &RequestHeader, tls: &TlsPolicies) -> PolicyId {
    let room = &mut None;
    let name = host(head).and_then(|host| host_name(host, room));
    let name: Option<CertName> = name.and_then(|name| name.parse().ok());
    tls.policy(name.as_ref()).id
}

/// Removes a client's words about certificates, and adds what its handshake has shown.
pub fn certify_client(head: &mut RequestHeader, ctx: &Context) {
    let is_claim = |name: &http::HeaderName| name.as_str().starts_with(CLIENT_CERTIFICATE);
    while let Some(claim) = head.headers.keys().find(|name| is_claim(name)).cloned() {
        head.remove_header(&claim);
    }
    let Some(facts) = &ctx.tls else {
        return;
    };
    if let (Some(client), Some(tls)) = (&facts.client, &ctx.settings.tls)
        && wanted_policy(head, tls) == facts.policy
    {
        let _ = head.insert_header(SUBJECT, client.subject.clone());
        let _ = head.insert_header(FINGERPRINT, client.fingerprint.clone());
    }
}

/// Adds `Strict-Transport-Security` to an answer over TLS that has none.
pub fn add_hsts(head: &mut ResponseHeader, ctx: &Context) {
    if ctx.tls.is_some()
        && let Some(hsts) = ctx.settings.tls.as_ref().and_then(|tls| tls.hsts.as_ref())
        && !head.headers.contains_key(header::STRICT_TRANSPORT_SECURITY)
    {
        let _ = head.insert_header(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
}
