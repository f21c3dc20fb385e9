//! An answer's head, as a replica sent it.

use super::framing::{is_length, without_zeros};
use crate::proxy::http1::fields::{HOP_BY_HOP, tokens_of};
use http::{HeaderMap, HeaderName, StatusCode, Version, header};
use pingora::http::ResponseHeader;

/// These say where the answer ends, for which no answer's own word is taken.
const FRAMING: [HeaderName; 2] = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// Chunks are framed anew on the client's connection. The other one is a challenge of the origin's
/// to its own client where an edge stands in front.
const KEPT: [&str; 2] = ["proxy-authenticate", "transfer-encoding"];

const NO_LENGTH: &str = "an answer with an impossible Content-Length";

/// Takes out what is for one connection only. `Err` says what is broken about the answer.
pub fn clean(head: &mut ResponseHeader) -> Result<(), &'static str> {
    framing(head)?;
    // Each hop speaks for itself, and to HTTP/1.0 chunks are no framing.
    head.set_version(Version::HTTP_11);
    if head.headers.contains_key(header::CONNECTION) {
        let values = head.headers.get_all(header::CONNECTION).iter();
        let named: Vec<HeaderName> = values
            .flat_map(|value| tokens_of(value.as_bytes()))
            .filter_map(|token| HeaderName::from_bytes(token).ok())
            .filter(|name| !FRAMING.contains(name))
            .collect();
        for name in named {
            head.remove_header(&name);
        }
    }
    let is_dropped = |name: &&str| !KEPT.contains(name);
    let is_hop_by_hop = |name: &HeaderName| HOP_BY_HOP.contains(&name.as_str());
    if head.headers.keys().any(is_hop_by_hop) {
        for name in HOP_BY_HOP.into_iter().filter(is_dropped) {
            head.remove_header(name);
        }
    }
    Ok(())
}

fn framing(head: &mut ResponseHeader) -> Result<(), &'static str> {
    if head.status.is_informational() || head.status == StatusCode::NO_CONTENT {
        for name in &FRAMING {
            head.remove_header(name);
        }
        return Ok(());
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => {}
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {}
        _ => return Err("an answer with a Transfer-Encoding other than `chunked`"),
    }
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) if is_length(length.as_bytes()) && without_zeros(length).is_none() => {
            Ok(())
        }
        _ => {
            let one = length(&head.headers)?.unwrap_or_default();
            let set = head.insert_header(header::CONTENT_LENGTH, one);
            set.map_err(|_| NO_LENGTH)
        }
    }
}

/// The length that an answer says, also when it says the same one several times (RFC 9110 §8.6).
pub fn length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    let values = headers.get_all(header::CONTENT_LENGTH).iter();
    let said = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut found = None;
    for digits in said.map(<[u8]>::trim_ascii) {
        if !is_length(digits) || found.is_some_and(|found| found != digits) {
            return Err(NO_LENGTH);
        }
        found = Some(digits);
    }
    let text = found.map(|found| str::from_utf8(found).unwrap_or_default());
    text.map(|text| text.parse().map_err(|_| NO_LENGTH))
        .transpose()
}
