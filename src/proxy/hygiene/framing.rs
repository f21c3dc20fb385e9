//! Where a request ends: one way to say it, said once.

use super::Refusal;
use http::{HeaderValue, header};
use pingora::http::RequestHeader;

const NOT_CHUNKED: Refusal = Refusal::Malformed("a Transfer-Encoding other than `chunked`");
const IMPOSSIBLE_LENGTH: Refusal = Refusal::Malformed("an impossible Content-Length");
const TWO_LENGTHS: Refusal = Refusal::Malformed("more than one word on the body's length");

/// Every line of a head ends with CR and LF: of a lone LF some parsers make an end of line, and
/// others a part of the value.
pub fn lines(raw: &[u8]) -> Result<(), Refusal> {
    // Empty lines before a request are skipped by every parser.
    let mut from = 0;
    for at in memchr::memchr_iter(b'\n', raw) {
        if at == from || raw[at - 1] != b'\r' {
            return Err(Refusal::Malformed("a line that ends without CR"));
        }
        from = at + 1;
    }
    Ok(())
}

/// `raw` is asked for what the parser has resolved already: beside a `Transfer-Encoding` it drops
/// every `Content-Length`.
pub fn check(head: &mut RequestHeader, raw: &[u8]) -> Result<(), Refusal> {
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    let mut lengths = head.headers.get_all(header::CONTENT_LENGTH).iter();
    match (codings.next(), codings.next()) {
        (None, _) => {}
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            if lengths.next().is_some() || names_a_length(raw) {
                return Err(TWO_LENGTHS);
            }
        }
        _ => return Err(NOT_CHUNKED),
    }
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(length), None) => {
            if !is_length(length.as_bytes()) {
                return Err(IMPOSSIBLE_LENGTH);
            }
            if let Some(shorter) = without_zeros(length) {
                let set = head.insert_header(header::CONTENT_LENGTH, shorter);
                set.map_err(|_| IMPOSSIBLE_LENGTH)?;
            }
            Ok(())
        }
        _ => Err(TWO_LENGTHS),
    }
}

/// More digits than a 64-bit number has may wrap around somewhere.
pub fn is_length(digits: &[u8]) -> bool {
    (1..=19).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

/// A length without leading zeros, of which some programs make an octal number; `None`: as it is.
pub fn without_zeros(length: &HeaderValue) -> Option<HeaderValue> {
    let digits = length.as_bytes();
    match digits {
        [b'0', _, ..] => {
            let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
            HeaderValue::from_bytes(&digits[zeros.min(digits.len() - 1)..]).ok()
        }
        _ => None,
    }
}

fn names_a_length(raw: &[u8]) -> bool {
    let name = header::CONTENT_LENGTH.as_str().as_bytes();
    let mut lines = raw.split(|byte| *byte == b'\n');
    lines.any(|line| {
        let colon = memchr::memchr(b':', line);
        colon.is_some_and(|colon| line[..colon].trim_ascii().eq_ignore_ascii_case(name))
    })
}
