//! How many headers there may be, and those that pretend to be others.

use super::{Limits, Refusal};
use http::HeaderName;
use pingora::http::RequestHeader;

pub fn fit(head: &RequestHeader, limits: &Limits) -> Result<(), Refusal> {
    if head.headers.len() > limits.headers {
        return Err(Refusal::HeadersTooLarge);
    }
    let lines = head.headers.iter();
    let lines = lines.map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    let line = head.method.as_str().len() + head.raw_path().len() + "  HTTP/1.1\r\n".len();
    match (lines.sum::<usize>() + line) as u64 > limits.header_bytes {
        true => Err(Refusal::HeadersTooLarge),
        false => Ok(()),
    }
}

/// Leaves out what programs behind gateways take for something else: where headers become
/// variables, `-` and `_` become the same, and `Proxy` becomes the proxy to use for outgoing
/// requests (CVE-2016-5385).
pub fn drop_impostors(head: &mut RequestHeader) {
    let is_suspect = |name: &HeaderName| name == "proxy" || name.as_str().contains('_');
    if !head.headers.keys().any(is_suspect) {
        return;
    }
    let impostors: Vec<HeaderName> = head
        .headers
        .keys()
        .filter(|name| is_impostor(head, name))
        .cloned()
        .collect();
    for name in impostors {
        head.remove_header(&name);
    }
}

fn is_impostor(head: &RequestHeader, name: &HeaderName) -> bool {
    if name == "proxy" {
        return true;
    }
    if !name.as_str().contains('_') {
        return false;
    }
    let twin = name.as_str().replace('_', "-");
    let families = [
        "x-client-cert-",
        "content-",
        "proxy-",
        "x-forwarded-",
        "x-real-",
        "x-request-",
    ];
    GUARDED.contains(&twin.as_str())
        || families.iter().any(|family| twin.starts_with(family))
        || head.headers.keys().any(|other| other.as_str() == twin)
}

/// Names that say who is there, or where something ends.
const GUARDED: [&str; 12] = [
    "authorization",
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
