//! Methods that are about the way itself and not about what is at its end.

use super::Refusal;
use http::{HeaderValue, Method, header};
use pingora::http::RequestHeader;

/// `TRACE` and its twin tell a page what headers a browser keeps from it; `CONNECT` would make an
/// open proxy of us.
pub fn check(method: &Method) -> Result<(), Refusal> {
    match method.as_str() {
        "TRACE" | "TRACK" | "CONNECT" => Err(Refusal::Method),
        _ => Ok(()),
    }
}

/// Takes one hop off what an `OPTIONS` has left; true when it had none left (RFC 9110 §7.6.2).
pub fn count_forwards(head: &mut RequestHeader) -> Result<bool, Refusal> {
    if head.method != Method::OPTIONS {
        return Ok(false);
    }
    let mut given = head.headers.get_all(header::MAX_FORWARDS).iter();
    let left = match (given.next(), given.next()) {
        (None, _) => return Ok(false),
        (Some(left), None) => left.to_str().ok().and_then(number),
        _ => None,
    };
    match left {
        None => Err(Refusal::Malformed("an impossible Max-Forwards")),
        Some(0) => Ok(true),
        Some(left) => {
            let set = head.insert_header(header::MAX_FORWARDS, HeaderValue::from(left - 1));
            set.map_err(|_| Refusal::Malformed("an impossible Max-Forwards"))?;
            Ok(false)
        }
    }
}

fn number(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u32::MAX))
}
