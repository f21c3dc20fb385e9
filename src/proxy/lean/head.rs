//! Heads as bytes: read with httparse, written into a buffer.

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Version, header};
use pingora::http::{RequestHeader, ResponseHeader, header_value_from_raw};
use pingora::protocols::http::authority::validate_request_authority;
use std::mem::MaybeUninit;

/// Lines that fit; a request with more is not plain.
const LINES_MAX: usize = 128;

/// Whoever sends one of these says something to this hop, or has more to send: not plain.
const NOT_PLAIN: [&str; 11] = [
    "content-length",
    "expect",
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

/// Where a head ends that `from` is not behind the end of.
pub fn end(text: &[u8], from: usize) -> Option<usize> {
    let from = from.saturating_sub(3);
    Some(from + memchr::memmem::find(&text[from..], b"\r\n\r\n")? + 4)
}

/// Whether more may make a request of it.
pub fn may_become_one(text: &[u8]) -> bool {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(text, &mut lines);
    parsed.is_ok_and(|parsed| parsed.is_partial())
}

/// A plain request: HTTP/1.1, without a body, and with nothing that is said to this hop but
/// whether the connection stays. `None`: it is another one, if it is one.
pub fn request(raw: &Bytes) -> Option<RequestHeader> {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let read = parsed.parse_with_uninit_headers(raw, &mut lines).ok()?;
    let is_whole = read == httparse::Status::Complete(raw.len());
    if !is_whole || parsed.version != Some(1) || parsed.headers.iter().any(is_special) {
        return None;
    }
    let path = parsed.path?.as_bytes();
    let mut head =
        RequestHeader::build(parsed.method?, path, Some(parsed.headers.len() + 4)).ok()?;
    if head.method == Method::CONNECT {
        return None;
    }
    head.set_version(Version::HTTP_11);
    for line in parsed.headers.iter() {
        let name = raw.slice_ref(line.name.as_bytes());
        let value = http::HeaderValue::from_maybe_shared(raw.slice_ref(line.value)).ok()?;
        head.append_header(name, value).ok()?;
    }
    validate_request_authority(&head).ok()?;
    Some(head)
}

fn is_special(line: &httparse::Header<'_>) -> bool {
    let name = line.name;
    let is = |special: &&str| name.len() == special.len() && name.eq_ignore_ascii_case(special);
    if is(&header::CONNECTION.as_str()) {
        let mut tokens = line
            .value
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii);
        let options = [&b"keep-alive"[..], b"close"];
        return !tokens.all(|token| {
            options
                .iter()
                .any(|option| token.eq_ignore_ascii_case(option))
        });
    }
    NOT_PLAIN.iter().any(|special| is(&special))
}

/// As it goes to a replica.
pub fn put_request(out: &mut BytesMut, head: &RequestHeader) {
    out.put_slice(head.method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(head.raw_path());
    out.put_slice(b" HTTP/1.1\r\n");
    head.header_to_h1_wire(out);
    out.put_slice(b"\r\n");
}

/// The head of an answer at the beginning of `inbox`, which is taken out. `None`: there is more
/// to come.
pub fn response(inbox: &mut BytesMut) -> Result<Option<ResponseHeader>, httparse::Error> {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut parsed = httparse::Response::new(&mut []);
    let mut parser = httparse::ParserConfig::default();
    parser
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true);
    let read = parser.parse_response_with_uninit_headers(&mut parsed, inbox, &mut lines)?;
    let httparse::Status::Complete(length) = read else {
        return Ok(None);
    };
    let base = inbox.as_ptr().addr();
    let place = |text: &[u8]| {
        let from = text.as_ptr().addr() - base;
        from..from + text.len()
    };
    let places: Vec<_> = parsed
        .headers
        .iter()
        .map(|line| (place(line.name.as_bytes()), place(line.value)))
        .collect();
    let status = parsed.code.unwrap_or_default();
    let head = ResponseHeader::build(status, Some(places.len() + 4));
    let mut head = head.map_err(|_| httparse::Error::Status)?;
    head.set_reason_phrase(parsed.reason)
        .map_err(|_| httparse::Error::Status)?;
    head.set_version(match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    });
    let raw = inbox.split_to(length).freeze();
    for (name, value) in places {
        let value = header_value_from_raw(unfolded(raw.slice(value)));
        let appended = head.append_header(raw.slice(name), value);
        appended.map_err(|_| httparse::Error::HeaderName)?;
    }
    if head.headers.contains_key(header::TRANSFER_ENCODING) {
        // RFC 9112 §6.3: it is what counts.
        head.remove_header(&header::CONTENT_LENGTH);
    }
    Ok(Some(head))
}

/// A value in several lines becomes one line (RFC 9112 §5.2).
fn unfolded(value: Bytes) -> Bytes {
    let is_break = |byte: &u8| [b'\r', b'\n'].contains(byte);
    if !value.iter().any(is_break) {
        return value;
    }
    let line = value.iter().map(|byte| match is_break(byte) {
        true => b' ',
        false => *byte,
    });
    line.collect()
}

/// As it goes to a client.
pub fn put_response(out: &mut BytesMut, head: &ResponseHeader) {
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(head.status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(head.get_reason_phrase().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    head.header_to_h1_wire(out);
    out.put_slice(b"\r\n");
}
