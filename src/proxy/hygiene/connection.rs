//! `Connection`, and the headers that it says are for this connection only.
//!
//! They go before any filter has spoken: otherwise a client could have struck out again what a
//! filter, or the edge itself, has added.

use super::Refusal;
use crate::proxy::http1::fields::{has_token, tokens};
use http::{HeaderName, HeaderValue, Version, header};
use pingora::http::RequestHeader;

/// Options that announce a connection's end or its upgrade.
const OPTIONS: [&str; 3] = ["close", "keep-alive", "upgrade"];
/// No client has a reason to have these dropped on the way.
const NOT_TO_BE_DROPPED: [&str; 7] = [
    "content-length",
    "forwarded",
    "host",
    "transfer-encoding",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];
const NAMED_MAX: usize = 9;

/// Whether this is the connection's last request: the client says so, or speaks HTTP/1.0 and does
/// not ask for another one. Pingora looks at the first line only.
pub fn ends(head: &RequestHeader) -> bool {
    let says = |option| has_token(&head.headers, header::CONNECTION, option);
    says("close") || head.version == Version::HTTP_10 && !says("keep-alive")
}

pub fn settle(head: &mut RequestHeader) -> Result<(), Refusal> {
    let tokens = || tokens(&head.headers, header::CONNECTION);
    let is_option = |token: &[u8]| {
        let mut options = OPTIONS.iter();
        options.any(|option| token.eq_ignore_ascii_case(option.as_bytes()))
    };
    if tokens().all(is_option) {
        return Ok(());
    }
    let mut named = Vec::new();
    let mut kept: Vec<&[u8]> = Vec::new();
    for token in tokens() {
        if is_option(token) {
            kept.push(token);
            continue;
        }
        match HeaderName::from_bytes(token) {
            Ok(name) if !NOT_TO_BE_DROPPED.contains(&name.as_str()) => named.push(name),
            _ => return Err(Refusal::Malformed("`Connection` names a forbidden header")),
        }
    }
    if named.len() > NAMED_MAX {
        return Err(Refusal::Malformed("`Connection` names too many headers"));
    }
    let kept = HeaderValue::from_bytes(&kept.join(&b", "[..])).ok();
    for name in named {
        head.remove_header(&name);
    }
    head.remove_header(&header::CONNECTION);
    if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
        let set = head.insert_header(header::CONNECTION, kept);
        set.map_err(|_| Refusal::Malformed("an impossible `Connection`"))?;
    }
    Ok(())
}
