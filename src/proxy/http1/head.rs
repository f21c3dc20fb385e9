//! Heads as bytes: read with httparse, written into a buffer.

use crate::proxy::buffers;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use memchr::memmem::Finder;
use pingora::http::{HeaderNameVariant, RequestHeader, ResponseHeader, header_value_from_raw};
use pingora::protocols::http::authority::validate_request_authority;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::LazyLock;

/// Lines that fit, which is what Pingora takes.
const LINES_MAX: usize = 256;

/// Index just past the blank line, searching from `from`.
pub fn end(text: &[u8], from: usize) -> Option<usize> {
    // Made once: to prepare the search takes longer than to search a head.
    static BLANK_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n\r\n"));
    let from = from.saturating_sub(3);
    Some(from + BLANK_LINE.find(&text[from..])? + 4)
}

/// An answer's head that comes in pieces, and what was done about it.
///
/// Parsing it at each piece takes time that grows with the square of its length.
#[derive(Default)]
pub struct Growing {
    searched: usize,
    tried: usize,
}

impl Growing {
    /// Whether `text`, the head so far, is worth parsing: it may be whole, or so much longer than
    /// last time that it would be known to be nonsense.
    pub fn is_worth_parsing(&mut self, text: &[u8]) -> bool {
        let from = std::mem::replace(&mut self.searched, text.len()).saturating_sub(2);
        let is_worth_it = text.len() >= 2 * self.tried.max(1) || may_end(&text[from..]);
        if is_worth_it {
            self.tried = text.len();
        }
        is_worth_it
    }
}

/// Whether there is an empty line; some end lines with LF alone.
fn may_end(text: &[u8]) -> bool {
    let mut ends = memchr::memchr_iter(b'\n', text);
    ends.any(|end| {
        let next = &text[end + 1..];
        next.starts_with(b"\n") || next.starts_with(b"\r\n")
    })
}

/// Whether more may make a request of it.
pub fn may_become_one(text: &[u8]) -> bool {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(text, &mut lines);
    parsed.is_ok_and(|parsed| parsed.is_partial())
}

/// A request of HTTP/1 that asks for no other protocol. `None`: it is another one, if it is one.
/// Filters may add `room` headers before the map grows.
pub fn request(raw: &Bytes, room: usize) -> Option<(RequestHeader, Spelling)> {
    let mut lines = [const { MaybeUninit::uninit() }; LINES_MAX];
    let mut parsed = httparse::Request::new(&mut []);
    let read = parsed.parse_with_uninit_headers(raw, &mut lines).ok()?;
    let is_whole = read == httparse::Status::Complete(raw.len());
    if !is_whole || parsed.headers.iter().any(is_special) {
        return None;
    }
    let version = match parsed.version? {
        0 => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let (mut parts, ()) = http::Request::new(()).into_parts();
    parts.method = Method::from_bytes(parsed.method?.as_bytes()).ok()?;
    if parts.method == Method::CONNECT {
        return None;
    }
    parts.uri = Uri::from_maybe_shared(raw.slice_ref(parsed.path?.as_bytes())).ok()?;
    parts.headers = HeaderMap::with_capacity(parsed.headers.len() + room);
    let mut spelling = Spelling::new(raw, parsed.headers.len());
    for line in parsed.headers.iter() {
        let name = HeaderName::from_bytes(line.name.as_bytes()).ok()?;
        spelling.note(place(raw, line.name.as_bytes()));
        let value = header_value_from_raw(raw.slice_ref(line.value));
        parts.headers.append(name, value);
    }
    parts.version = version;
    if version == Version::HTTP_10 && !parts.headers.contains_key(header::HOST) {
        return None;
    }
    let head = RequestHeader::from(parts);
    // A target in another form, or with a fragment, does not survive as it is.
    if head.raw_path() != parsed.path?.as_bytes() || !head.raw_path().starts_with(b"/") {
        return None;
    }
    validate_request_authority(&head).ok()?;
    Some((head, spelling))
}

/// Whether a line asks for another protocol, or for something that only Pingora's way can do.
fn is_special(line: &httparse::Header<'_>) -> bool {
    let is = |name: &HeaderName| line.name.eq_ignore_ascii_case(name.as_str());
    is(&header::UPGRADE) || is(&header::EXPECT) && !line.value.eq_ignore_ascii_case(b"100-continue")
}

/// How names were spelled, for those that have no usual spelling.
#[derive(Default)]
pub struct Spelling {
    head: Bytes,
    names: Vec<Range<usize>>,
}

impl Spelling {
    fn new(head: &Bytes, names: usize) -> Spelling {
        Spelling {
            head: head.clone(),
            names: Vec::with_capacity(names),
        }
    }

    fn note(&mut self, name: Range<usize>) {
        if self.head[name.clone()].iter().any(u8::is_ascii_uppercase) {
            self.names.push(name);
        }
    }

    fn of<'a>(&'a self, name: &'a str) -> &'a [u8] {
        let name = name.as_bytes();
        // Pingora knows the usual spelling of most.
        if name.first().is_some_and(u8::is_ascii_uppercase) {
            return name;
        }
        let mut noted = self.names.iter().map(|noted| &self.head[noted.clone()]);
        noted
            .find(|noted| noted.eq_ignore_ascii_case(name))
            .unwrap_or(name)
    }
}

/// Where a part of `whole` is in it.
fn place(whole: &[u8], part: &[u8]) -> Range<usize> {
    let from = part.as_ptr().addr() - whole.as_ptr().addr();
    from..from + part.len()
}

/// As it goes to a replica, but for the end.
pub fn put_request(out: &mut BytesMut, head: &RequestHeader, spelling: &Spelling) {
    out.put_slice(head.method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(head.raw_path());
    out.put_slice(b" HTTP/1.1\r\n");
    let _ = head.map(|name, value| {
        put_named(out, name, value, spelling);
        Ok(())
    });
}

pub fn put_header(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

fn put_named(
    out: &mut BytesMut,
    name: HeaderNameVariant<'_>,
    value: &HeaderValue,
    spelling: &Spelling,
) {
    let name = match &name {
        HeaderNameVariant::Titled(name) => spelling.of(name),
        HeaderNameVariant::Case(name) => name.as_slice(),
    };
    put_header(out, name, value.as_bytes());
}

/// The head of an answer at the beginning of `inbox`, which is taken out. `None`: there is more
/// to come. Filters may add `room` headers before the map grows.
pub fn response(
    inbox: &mut BytesMut,
    room: usize,
) -> Result<Option<(ResponseHeader, Spelling)>, httparse::Error> {
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
    let (mut parts, ()) = http::Response::new(()).into_parts();
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default());
    parts.status = status.map_err(|_| httparse::Error::Status)?;
    parts.version = match parsed.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let reason = parsed
        .reason
        .filter(|reason| Some(*reason) != parts.status.canonical_reason());
    let reason = reason.map(str::to_owned);
    let mut places = Vec::with_capacity(parsed.headers.len());
    for line in parsed.headers.iter() {
        places.push((place(inbox, line.name.as_bytes()), place(inbox, line.value)));
    }
    let raw = buffers::take_out(inbox, length);
    parts.headers = HeaderMap::with_capacity(places.len() + room);
    let mut spelling = Spelling::new(&raw, places.len());
    for (name, value) in places {
        spelling.note(name.clone());
        let name = HeaderName::from_bytes(&raw[name]).map_err(|_| httparse::Error::HeaderName)?;
        parts
            .headers
            .append(name, header_value_from_raw(raw.slice(value)));
    }
    if parts.headers.contains_key(header::TRANSFER_ENCODING) {
        // RFC 9112 §6.3: it is what counts.
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let mut head = ResponseHeader::from(parts);
    head.set_reason_phrase(reason.as_deref())
        .map_err(|_| httparse::Error::Status)?;
    Ok(Some((head, spelling)))
}

/// As it goes to a client, but for the end.
pub fn put_response(out: &mut BytesMut, head: &ResponseHeader, spelling: &Spelling) {
    out.put_slice(b"HTTP/1.1 ");
    out.put_slice(head.status.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(head.get_reason_phrase().unwrap_or_default().as_bytes());
    out.put_slice(b"\r\n");
    let _ = head.map(|name, value| {
        put_named(out, name, value, spelling);
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_comes_byte_by_byte_is_parsed_a_few_times_only() {
        for end in ["\r\n\r\n", "\n\n", "\n\r\n"] {
            let text = format!("HTTP/1.1 200 OK\r\nx: {}{end}", "y".repeat(100_000));
            let mut growing = Growing::default();
            let tries = (1..=text.len()).filter(|length| {
                let is_worth_it = growing.is_worth_parsing(&text.as_bytes()[..*length]);
                assert!(is_worth_it || *length < text.len(), "it is whole");
                is_worth_it
            });
            assert!(tries.count() < 25);
        }
    }
}
