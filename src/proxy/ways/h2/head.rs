//! Heads of HTTP/2 in the form that the rest of the request path knows, and back.

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, DATE, HOST, TRANSFER_ENCODING, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri, Version, request, response};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::date::get_cached_date;

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");
/// Fields that HTTP/2 knows no more (RFC 9113 §8.2.2).
const OF_HTTP1: [HeaderName; 5] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A request's head. A body without a length is said to come in chunks, as HTTP/1 has it. Filters
/// may add `room` headers before the map grows.
pub fn request(mut parts: request::Parts, has_body: bool, room: usize) -> RequestHeader {
    parts.headers.reserve(room);
    let uri = std::mem::take(&mut parts.uri).into_parts();
    if let Some(authority) = uri.authority
        && let Ok(host) = HeaderValue::from_maybe_shared(authority.to_string())
    {
        // RFC 9113 §8.3.1: it counts more than a `Host` beside it.
        parts.headers.insert(HOST, host);
    }
    let path = uri.path_and_query;
    let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
    parts.uri = Uri::from(path);
    join_crumbs(&mut parts.headers);
    let is_connect = parts.method == Method::CONNECT;
    if has_body && !is_connect && !parts.headers.contains_key(CONTENT_LENGTH) {
        parts.headers.insert(TRANSFER_ENCODING, CHUNKED);
    }
    parts.version = Version::HTTP_2;
    RequestHeader::from(parts)
}

/// Joins cookies that came one by one (RFC 9113 §8.2.3).
fn join_crumbs(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) else {
        return;
    };
    let mut joined = [first.as_bytes(), second.as_bytes()].join(&b"; "[..]);
    for crumb in crumbs {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(crumb.as_bytes());
    }
    if let Ok(cookie) = HeaderValue::from_maybe_shared(joined) {
        headers.insert(COOKIE, cookie);
    }
}

/// An answer's head.
pub fn response(head: ResponseHeader) -> Response<()> {
    let mut parts = response::Parts::from(head);
    parts.version = Version::HTTP_2;
    if parts.headers.keys().any(|name| OF_HTTP1.contains(name)) {
        for name in &OF_HTTP1 {
            parts.headers.remove(name);
        }
    }
    if !parts.status.is_informational() && !parts.headers.contains_key(DATE) {
        // RFC 9110 §6.6.1: who has a clock sees to it.
        parts.headers.insert(DATE, get_cached_date());
    }
    Response::from_parts(parts, ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(uri: &str, lines: &[(&str, &str)], has_body: bool) -> RequestHeader {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        super::request(parts, has_body, 0)
    }

    #[test]
    fn the_authority_is_the_host_whatever_else_is_said() {
        let head = head("http://a.example:81/x?y", &[("host", "b.example")], false);
        assert_eq!(head.headers[HOST], "a.example:81");
        assert_eq!(head.raw_path(), b"/x?y");
        assert!(head.uri.authority().is_none());
        assert!(!head.headers.contains_key(TRANSFER_ENCODING));
    }

    #[test]
    fn cookies_that_came_one_by_one_are_one() {
        let crumbs = [("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")];
        for (count, expected) in [(1, "a=1"), (2, "a=1; b=2"), (3, "a=1; b=2; c=3")] {
            let head = head("/", &crumbs[..count], false);
            let all: Vec<_> = head.headers.get_all(COOKIE).iter().collect();
            assert_eq!(all, [expected]);
        }
    }

    #[test]
    fn a_body_without_a_length_comes_in_chunks() {
        for (lines, has_body, expected) in [
            (&[][..], true, true),
            (&[("content-length", "5")], true, false),
            (&[], false, false),
        ] {
            let head = head("/", lines, has_body);
            assert_eq!(head.headers.contains_key(TRANSFER_ENCODING), expected);
        }
    }

    #[test]
    fn an_answer_has_a_date_and_nothing_of_http1() {
        let mut head = ResponseHeader::build(200, None).unwrap();
        for name in ["connection", "keep-alive", "transfer-encoding", "x-kept"] {
            head.insert_header(name, "x").unwrap();
        }
        let answer = response(head);
        let mut names: Vec<_> = answer.headers().keys().map(HeaderName::as_str).collect();
        names.sort();
        assert_eq!(names, ["date", "x-kept"]);
    }
}
