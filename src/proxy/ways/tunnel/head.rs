//! The heads of a WebSocket's handshake (RFC 6455 §4), from one connection to the next.

use crate::proxy::http1::fields::{HOP_BY_HOP, has_token, tokens};
use http::{HeaderName, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType, Result};

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");
/// No client has a reason to have these dropped on the way.
const NOT_TO_BE_DROPPED: [&str; 4] = [
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];
const NAMED_BY_CONNECTION_MAX: usize = 9;

/// The request as it is sent to a replica, but for what the edge itself says of the client.
pub fn for_replica(client: &RequestHeader) -> Result<RequestHeader> {
    let mut head = client.clone();
    let mut named = Vec::new();
    for token in tokens(&client.headers, header::CONNECTION) {
        match HeaderName::from_bytes(token) {
            Ok(name) if !NOT_TO_BE_DROPPED.contains(&name.as_str()) => named.push(name),
            _ => return Err(nonsense("`Connection` names a forbidden header")),
        }
    }
    if named.len() > NAMED_BY_CONNECTION_MAX {
        return Err(nonsense("`Connection` names too many headers"));
    }
    for name in named {
        head.remove_header(&name);
    }
    for name in HOP_BY_HOP {
        head.remove_header(name);
    }
    head.insert_header(header::CONNECTION, UPGRADE)?;
    head.insert_header(header::UPGRADE, WEBSOCKET)?;
    Ok(head)
}

fn nonsense(what: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, what).into_down()
}

pub fn switches_to_websocket(answer: &ResponseHeader) -> bool {
    has_token(&answer.headers, header::UPGRADE, "websocket")
}

/// Makes a replica's 101 the edge's own. It has no body, whatever it says.
pub fn for_client(answer: &mut ResponseHeader) -> Result<()> {
    let named: Vec<HeaderName> = tokens(&answer.headers, header::CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .collect();
    for name in named {
        answer.remove_header(&name);
    }
    for name in HOP_BY_HOP {
        answer.remove_header(name);
    }
    answer.remove_header(&header::CONTENT_LENGTH);
    answer.insert_header(header::CONNECTION, UPGRADE)?;
    answer.insert_header(header::UPGRADE, WEBSOCKET)?;
    Ok(())
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
    fn what_concerns_one_connection_goes_no_further() {
        let head = request(
            "GET",
            &[
                ("host", "example.com"),
                ("connection", "keep-alive, X-Hop, Upgrade"),
                ("upgrade", "WebSocket, h2c"),
                ("x-hop", "1"),
                ("keep-alive", "timeout=5"),
                ("te", "trailers"),
                ("http2-settings", "x"),
                ("sec-websocket-key", "k"),
                ("sec-websocket-protocol", "chat"),
            ],
        );
        let sent = for_replica(&head).unwrap();
        let mut lines: Vec<String> = sent
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        lines.sort();
        assert_eq!(
            lines,
            [
                "connection: Upgrade",
                "host: example.com",
                "sec-websocket-key: k",
                "sec-websocket-protocol: chat",
                "upgrade: websocket",
            ]
        );
    }

    #[test]
    fn a_client_cannot_have_our_own_headers_dropped() {
        for named in ["upgrade, Host", "upgrade, x-forwarded-for", "upgrade, a b"] {
            let head = request("GET", &[("upgrade", "websocket"), ("connection", named)]);
            let error = for_replica(&head).unwrap_err();
            assert_eq!(
                crate::proxy::request::failure::status(&error),
                400,
                "{named}"
            );
        }
        let many = ["upgrade"; 10].join(",");
        let head = request("GET", &[("upgrade", "websocket"), ("connection", &many)]);
        assert!(for_replica(&head).is_err());
    }

    #[test]
    fn a_101_has_no_body_and_a_connection_header_of_its_own() {
        let mut answer = ResponseHeader::build(101, None).unwrap();
        for (name, value) in [
            ("connection", "upgrade, x-hop"),
            ("upgrade", "WebSocket"),
            ("x-hop", "1"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("sec-websocket-accept", "a"),
        ] {
            answer.append_header(name, value).unwrap();
        }
        assert!(switches_to_websocket(&answer));
        for_client(&mut answer).unwrap();
        let mut names: Vec<&str> = answer.headers.keys().map(HeaderName::as_str).collect();
        names.sort();
        assert_eq!(names, ["connection", "sec-websocket-accept", "upgrade"]);
    }
}
