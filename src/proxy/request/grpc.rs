//! gRPC: whether a request speaks it, its status codes, and refusals in its words.
//!
//! A client of gRPC looks at `grpc-status` and not at the status of HTTP, which is 200 whatever
//! happens.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::Result;
use pingora::http::ResponseHeader;

pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const PERMISSION_DENIED: u32 = 7;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const DATA_LOSS: u32 = 15;
const UNAUTHENTICATED: u32 = 16;

/// The forms of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Native,
    /// gRPC-web: trailers stand in the body.
    Web,
    /// The same in base64.
    WebText,
}

impl Dialect {
    /// Dialect of a request or an answer with these headers, if it is gRPC.
    pub fn of(headers: &HeaderMap) -> Option<Dialect> {
        let value = headers.get(header::CONTENT_TYPE)?.as_bytes();
        let forms = [Dialect::WebText, Dialect::Web, Dialect::Native];
        forms.into_iter().find(|form| {
            let rest = strip_prefix(value, form.content_type());
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.starts_with(b"+") || rest.starts_with(b";")
            })
        })
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Dialect::Native => "application/grpc",
            Dialect::Web => "application/grpc-web",
            Dialect::WebText => "application/grpc-web-text",
        }
    }

    /// The same content type, format of messages included, in another dialect.
    pub fn translated(self, value: &HeaderValue, to: Dialect) -> HeaderValue {
        let format = strip_prefix(value.as_bytes(), self.content_type()).unwrap_or_default();
        let whole = [to.content_type().as_bytes(), format].concat();
        HeaderValue::from_bytes(&whole).unwrap_or(HeaderValue::from_static(to.content_type()))
    }
}

fn strip_prefix<'a>(value: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    start
        .eq_ignore_ascii_case(prefix.as_bytes())
        .then_some(rest)
}

/// The status code of gRPC for an answer of the edge's own.
pub fn status_of(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 | 500 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 | 405 | 501 => UNIMPLEMENTED,
        408 | 504 => DEADLINE_EXCEEDED,
        413 | 414 | 429 | 431 => RESOURCE_EXHAUSTED,
        499 => CANCELLED,
        502 | 503 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// The status code in a head or in trailers.
pub fn status_in(headers: &HeaderMap) -> Option<u32> {
    headers.get(STATUS)?.to_str().ok()?.parse().ok()
}

/// Whether the replica has failed, as a status of 5xx says for HTTP. Deadlines are the client's,
/// and methods that nobody implements are its mistakes.
pub fn is_failure(status: u32) -> bool {
    [UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS].contains(&status)
}

/// Makes an answer of the edge's own one that a client of gRPC understands, without a body.
/// Answers that refuse nothing stay as they are: false.
pub fn refuse(head: &mut ResponseHeader, dialect: Dialect) -> Result<bool> {
    if head.status.is_success() || head.status.is_informational() {
        return Ok(false);
    }
    let status = head.status;
    head.set_status(StatusCode::OK)?;
    head.insert_header(header::CONTENT_TYPE, dialect.content_type())?;
    head.insert_header(header::CONTENT_LENGTH, 0)?;
    head.insert_header(STATUS, status_of(status))?;
    let reason = status.canonical_reason().unwrap_or_default();
    head.insert_header(MESSAGE, format!("Tidegate: {} {reason}", status.as_u16()))?;
    Ok(true)
}

/// Trailers of an answer that broke off.
pub fn broken_off() -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(STATUS, HeaderValue::from(UNAVAILABLE));
    let message = "Tidegate: the replica broke off";
    trailers.insert(MESSAGE, HeaderValue::from_static(message));
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &str) -> HeaderMap {
        let value = HeaderValue::from_str(content_type).unwrap();
        HeaderMap::from_iter([(header::CONTENT_TYPE, value)])
    }

    #[test]
    fn the_content_type_says_which_form_it_is() {
        for (content_type, expected) in [
            ("application/grpc", Some(Dialect::Native)),
            ("Application/gRPC+proto", Some(Dialect::Native)),
            ("application/grpc;charset=utf-8", Some(Dialect::Native)),
            ("application/grpc-web", Some(Dialect::Web)),
            ("application/grpc-web+json", Some(Dialect::Web)),
            ("application/grpc-web-text+proto", Some(Dialect::WebText)),
            ("application/grpcx", None),
            ("application/json", None),
            ("", None),
        ] {
            assert_eq!(
                Dialect::of(&headers(content_type)),
                expected,
                "{content_type}"
            );
        }
        assert_eq!(Dialect::of(&HeaderMap::new()), None);
    }

    #[test]
    fn the_format_of_messages_survives_the_translation() {
        for (from, value, to, expected) in [
            (
                Dialect::Web,
                "application/grpc-web+proto",
                Dialect::Native,
                "application/grpc+proto",
            ),
            (
                Dialect::Native,
                "application/grpc",
                Dialect::WebText,
                "application/grpc-web-text",
            ),
        ] {
            let value = HeaderValue::from_static(value);
            assert_eq!(from.translated(&value, to), expected);
        }
    }

    #[test]
    fn a_refusal_is_told_in_trailers_alone() {
        for (status, expected) in [
            (503, "14"),
            (504, "4"),
            (429, "8"),
            (404, "12"),
            (401, "16"),
        ] {
            let mut head = ResponseHeader::build(status, None).unwrap();
            head.insert_header("retry-after", "1").unwrap();
            assert!(refuse(&mut head, Dialect::Native).unwrap());
            assert_eq!(head.status, StatusCode::OK);
            assert_eq!(head.headers[STATUS], expected);
            assert_eq!(head.headers["content-type"], "application/grpc");
            assert_eq!(head.headers["retry-after"], "1");
        }
        let mut head = ResponseHeader::build(204, None).unwrap();
        assert!(!refuse(&mut head, Dialect::Native).unwrap());
    }
}
