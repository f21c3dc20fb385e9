//! Header fields that more than one part of the request path reads.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};
use pingora::http::RequestHeader;

/// Fields for one connection only, whether `Connection` names them or not (RFC 9110 §7.6.1).
pub const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub fn host(head: &RequestHeader) -> Option<&str> {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    authority.or_else(|| head.headers.get(header::HOST)?.to_str().ok())
}

pub fn content_length(head: &RequestHeader) -> Option<u64> {
    head.headers.get(header::CONTENT_LENGTH).and_then(number)
}

pub fn number(value: &HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

/// Whether a request asks for a WebSocket. If not, whatever else it asks to upgrade to is left
/// out when it is sent on, as HTTP allows.
pub fn asks_for_websocket(head: &RequestHeader) -> bool {
    let without_body = !head.headers.contains_key(header::TRANSFER_ENCODING)
        && head
            .headers
            .get_all(header::CONTENT_LENGTH)
            .iter()
            .all(|length| length == "0");
    head.version == Version::HTTP_11
        && head.method == Method::GET
        && without_body
        && has_token(&head.headers, header::CONNECTION, "upgrade")
        && has_token(&head.headers, header::UPGRADE, "websocket")
}

pub fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token.as_bytes()))
}

/// The tokens of a field that is a list, in all its lines.
pub fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| tokens_of(value.as_bytes()))
}

/// The tokens of one line.
pub fn tokens_of(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    tokens.filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, lines: &[(&'static str, &str)]) -> RequestHeader {
        let mut head = RequestHeader::build(method, b"/chat", None).unwrap();
        for (name, value) in lines {
            head.append_header(*name, *value).unwrap();
        }
        head
    }

    #[test]
    fn a_websocket_is_asked_for_by_a_get_without_a_body_and_two_headers() {
        let both = [("upgrade", "websocket"), ("connection", "upgrade")];
        let with = |more: (&'static str, &'static str)| [&both[..], &[more]].concat();
        assert!(asks_for_websocket(&request("GET", &both)));
        assert!(asks_for_websocket(&request(
            "GET",
            &[
                ("Upgrade", "h2c, WebSocket"),
                ("Connection", "keep-alive"),
                ("Connection", "x, Upgrade")
            ]
        )));
        assert!(asks_for_websocket(&request(
            "GET",
            &with(("content-length", "0"))
        )));
        for (method, lines) in [
            ("GET", &both[..1]),
            ("GET", &both[1..]),
            ("GET", &[("upgrade", "h2c"), ("connection", "upgrade")]),
            ("POST", &both),
            ("GET", &with(("content-length", "5"))),
            ("GET", &with(("transfer-encoding", "chunked"))),
        ] {
            assert!(
                !asks_for_websocket(&request(method, lines)),
                "{method} {lines:?}"
            );
        }
        let mut old = request("GET", &both);
        old.set_version(Version::HTTP_10);
        assert!(!asks_for_websocket(&old));
    }
}
