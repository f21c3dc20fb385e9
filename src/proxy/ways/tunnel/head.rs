//! The heads of a WebSocket's handshake (RFC 6455 §4), from one connection to the next.

use crate::proxy::http1::fields::{HOP_BY_HOP, has_token, tokens};
use http::{HeaderName, HeaderValue, header};
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const UPGRADE: HeaderValue = HeaderValue::from_static("Upgrade");

/// The request as it is sent to a replica, but for the edge's own headers about the client. Fields
/// that `Connection` named are gone already (`proxy/hygiene/connection.rs`).
pub fn for_replica(client: &RequestHeader) -> Result<RequestHeader> {
    let mut head = client.clone();
    for name in HOP_BY_HOP {
        head.remove_header(name);
    }
    head.insert_header(header::CONNECTION, UPGRADE)?;
    head.insert_header(header::UPGRADE, WEBSOCKET)?;
    Ok(head)
}

pub fn switches_to_websocket(answer: &ResponseHeader) -> bool {
    has_token(&answer.headers, header::UPGRADE, "websocket")
}

/// Makes a replica's 101 the edge's own, without a body, whatever its head announces.
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
                ("connection", "keep-alive, Upgrade"),
                ("upgrade", "WebSocket, h2c"),
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
