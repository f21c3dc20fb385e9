//! Where a body ends, as one side frames it, and how it is framed for the other.

use super::fields::{HOP_BY_HOP, content_length};
use super::head::put_header;
use crate::proxy::hygiene::{self, chunk_size};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use std::fmt::Write;

/// A chunk's size line, with whatever extensions it has, is no longer; nor is a line of a trailer.
const LINE_MAX: usize = 4 << 10;
/// Lines of a trailer.
const TRAILERS_MAX: u32 = 100;
/// Fields that nobody may send behind a body: they frame, route or name the client, and were
/// looked for in the head. With them go those of one connection, and names with an underscore.
const NOT_BEHIND_A_BODY: [&str; 14] = [
    "authorization",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "range",
    "set-cookie",
    "x-real-ip",
    "x-request-id",
    "x-http-method-override",
];

#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    Over,
    /// So much is left.
    Length(u64),
    Chunked(Chunk),
    /// Until the replica closes its connection.
    Close,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    Size,
    Data(u64),
    /// The end of its line is due.
    End,
    Trailer(u32),
}

impl Body {
    /// Framing by RFC 9112 §6.3; an answer that `hygiene::response` refuses has no body here.
    pub fn of(head: &ResponseHeader, to_head: bool) -> Body {
        let is_bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&head.status);
        if to_head || is_bodiless || head.status.is_informational() {
            return Body::Over;
        }
        if head.headers.contains_key(header::TRANSFER_ENCODING) {
            return Body::Chunked(Chunk::Size);
        }
        match hygiene::answer_length(&head.headers) {
            Ok(Some(0)) | Err(_) => Body::Over,
            Ok(Some(length)) => Body::Length(length),
            Ok(None) => Body::Close,
        }
    }

    /// The same of a request that hygiene let pass.
    pub fn of_request(head: &RequestHeader) -> Body {
        if head.headers.contains_key(header::TRANSFER_ENCODING) {
            return Body::Chunked(Chunk::Size);
        }
        match content_length(head).unwrap_or(0) {
            0 => Body::Over,
            length => Body::Length(length),
        }
    }

    pub fn is_over(&self) -> bool {
        *self == Body::Over
    }

    /// The next piece of what came; `None`: more must come first, or it is over. Fields behind
    /// the last chunk are added to `trailers`.
    pub fn take(
        &mut self,
        inbox: &mut BytesMut,
        trailers: &mut HeaderMap,
    ) -> Result<Option<Bytes>, &'static str> {
        loop {
            match self {
                Body::Over => return Ok(None),
                Body::Close => return Ok(some(inbox.split())),
                Body::Length(left) => {
                    let piece = split(inbox, left);
                    if *left == 0 {
                        *self = Body::Over;
                    }
                    return Ok(piece);
                }
                Body::Chunked(Chunk::Data(left)) => {
                    let piece = split(inbox, left);
                    if *left == 0 {
                        *self = Body::Chunked(Chunk::End);
                    }
                    return Ok(piece);
                }
                Body::Chunked(Chunk::Size) => {
                    let end = memchr::memchr(b'\n', &inbox[..inbox.len().min(LINE_MAX)]);
                    let size = match end {
                        None if inbox.len() < LINE_MAX => return Ok(None),
                        None => None,
                        Some(end) => chunk_size(&inbox.split_to(end + 1)),
                    };
                    *self = Body::Chunked(match size {
                        None => return Err("an impossible chunk"),
                        Some(0) => Chunk::Trailer(0),
                        Some(size) => Chunk::Data(size),
                    });
                }
                Body::Chunked(Chunk::End) => {
                    match inbox.get(..2) {
                        Some(b"\r\n") => inbox.advance(2),
                        Some(_) => {
                            return Err("a chunk of a wrong size");
                        }
                        None => return Ok(None),
                    }
                    *self = Body::Chunked(Chunk::Size);
                }
                Body::Chunked(Chunk::Trailer(lines)) => {
                    let Some(end) = memchr::memchr(b'\n', inbox) else {
                        return match inbox.len() < LINE_MAX {
                            true => Ok(None),
                            false => Err("too long a trailer"),
                        };
                    };
                    let line = inbox.split_to(end + 1);
                    *lines += 1;
                    if line[..] == b"\r\n"[..] {
                        *self = Body::Over;
                    } else if line.trim_ascii().is_empty() {
                        return Err("a trailer without a clear end");
                    } else if *lines > TRAILERS_MAX {
                        return Err("too long a trailer");
                    } else if let Some((name, value)) = trailer(&line) {
                        trailers.append(name, value);
                    }
                }
            }
        }
    }
}

/// A field behind a body; `None`: it goes no further.
fn trailer(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = memchr::memchr(b':', line)?;
    let name = HeaderName::from_bytes(&line[..colon]).ok()?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    is_for_trailers(&name).then_some((name, value))
}

/// Whether a field may stand behind a body.
pub fn is_for_trailers(name: &HeaderName) -> bool {
    let text = name.as_str();
    !HOP_BY_HOP.contains(&text)
        && !NOT_BEHIND_A_BODY.contains(&text)
        && !text.starts_with("x-forwarded-")
        && !text.contains('_')
}

/// The fields behind the last chunk, and the end.
pub fn put_trailers(out: &mut BytesMut, trailers: &HeaderMap) {
    for (name, value) in trailers {
        put_header(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.put_slice(b"\r\n");
}

fn split(inbox: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let count = usize::try_from(*left).map_or(inbox.len(), |left| left.min(inbox.len()));
    *left -= count as u64;
    some(inbox.split_to(count))
}

fn some(piece: BytesMut) -> Option<Bytes> {
    (!piece.is_empty()).then(|| piece.freeze())
}

/// How the client is told where an answer ends.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    Over,
    /// So much is due.
    Length(u64),
    Chunked,
    Close,
}

impl Framing {
    /// As the head that goes down says it.
    pub fn of(head: &ResponseHeader, to_head: bool) -> Framing {
        match Body::of(head, to_head) {
            Body::Over => Framing::Over,
            Body::Length(length) => Framing::Length(length),
            Body::Chunked(_) => Framing::Chunked,
            Body::Close => Framing::Close,
        }
    }

    /// Adds a piece to what is about to be written; returns how much of it belongs to the body.
    pub fn put(&mut self, out: &mut BytesMut, piece: &[u8]) -> usize {
        let (count, behind) = self.around(out, piece.len());
        out.put_slice(&piece[..count]);
        out.put_slice(behind);
        count
    }

    /// Adds what comes before a piece of this length that is written as it is. Returns how much
    /// of it belongs to the body, and what comes behind it.
    pub fn around(&mut self, out: &mut BytesMut, length: usize) -> (usize, &'static [u8]) {
        match self {
            Framing::Over => (0, b""),
            Framing::Length(left) => {
                let count = usize::try_from(*left).map_or(length, |left| left.min(length));
                *left -= count as u64;
                (count, b"")
            }
            // An empty chunk would be the last one.
            Framing::Chunked if length == 0 => (0, b""),
            Framing::Chunked => {
                let _ = write!(out, "{length:x}\r\n");
                (length, b"\r\n")
            }
            Framing::Close => (length, b""),
        }
    }

    /// Adds the end. False: the head promised more.
    pub fn end(&self, out: &mut BytesMut, trailers: &HeaderMap) -> bool {
        if *self == Framing::Chunked {
            out.put_slice(b"0\r\n");
            put_trailers(out, trailers);
        }
        !matches!(self, Framing::Length(left) if *left > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All of a body that comes in these pieces, and what is left behind it.
    fn whole(body: Body, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, Body), &'static str> {
        with_trailers(body, pieces, &mut HeaderMap::new())
    }

    fn with_trailers(
        mut body: Body,
        pieces: &[&[u8]],
        trailers: &mut HeaderMap,
    ) -> Result<(Vec<u8>, Vec<u8>, Body), &'static str> {
        let (mut inbox, mut found) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            inbox.extend_from_slice(piece);
            while let Some(piece) = body.take(&mut inbox, trailers)? {
                assert!(!piece.is_empty());
                found.extend_from_slice(&piece);
            }
        }
        Ok((found, inbox.to_vec(), body))
    }

    fn chunked() -> Body {
        Body::Chunked(Chunk::Size)
    }

    #[test]
    fn a_body_is_as_long_as_it_says() {
        let (found, rest, body) = whole(Body::Length(5), &[b"he", b"llo", b"!"]).unwrap();
        assert_eq!(
            (&found[..], &rest[..], body),
            (&b"hello"[..], &b"!"[..], Body::Over)
        );
    }

    #[test]
    fn chunks_may_have_extensions_which_go_no_further_and_trailers_which_do() {
        let text = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\nHTTP/1.1";
        let mut trailers = HeaderMap::new();
        let (found, rest, body) = with_trailers(chunked(), &[text], &mut trailers).unwrap();
        assert_eq!(
            (trailers.len(), trailers["x-sum"].as_bytes()),
            (1, &b"1"[..])
        );
        assert_eq!(
            (&found[..], &rest[..], body),
            (&b"hello!"[..], &b"HTTP/1.1"[..], Body::Over)
        );
    }

    #[test]
    fn a_trailer_that_belongs_into_a_head_goes_no_further() {
        for name in [
            "Content-Length",
            "Transfer-Encoding",
            "Host",
            "X-Forwarded-For",
            "Connection",
            "Authorization",
            "X_Real_IP",
            "a b",
        ] {
            let text = format!("0\r\n{name}: 1\r\nX-Sum: 2\r\n\r\n");
            let mut trailers = HeaderMap::new();
            with_trailers(chunked(), &[text.as_bytes()], &mut trailers).unwrap();
            assert_eq!(
                (trailers.len(), trailers["x-sum"].as_bytes()),
                (1, &b"2"[..]),
                "{name}"
            );
        }
        let mut out = BytesMut::new();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("1"));
        assert!(Framing::Chunked.end(&mut out, &trailers));
        assert_eq!(&out[..], b"0\r\nx-sum: 1\r\n\r\n");
    }

    #[test]
    fn broken_chunks_are_no_answer() {
        for text in [
            &b"xyz\r\n"[..],
            b"-1\r\n",
            b"5\r\nhello!\r\n",
            b"fffffffffffffffff\r\n",
            b"5;\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b"5;a\0\r\nhello\r\n",
            b"5;a\nb\r\nhello\r\n",
            b"0\r\n\n",
            b"0\r\n \r\n",
            &[b'0'; LINE_MAX + 1],
        ] {
            assert!(
                whole(chunked(), &[text]).is_err(),
                "{}",
                text.escape_ascii()
            );
        }
        let endless = [&b"0\r\n"[..], &b"a: b\r\n".repeat(200)].concat();
        assert!(whole(chunked(), &[&endless]).is_err());
        let endless = [&b"0\r\n"[..], &[b'a'; LINE_MAX]].concat();
        assert!(whole(chunked(), &[&endless]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_put_is_what_is_taken_however_it_is_cut(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            cuts in prop::collection::vec(1usize..20, 1..40),
        ) {
            let mut out = BytesMut::new();
            let mut framing = Framing::Chunked;
            for piece in &pieces {
                framing.put(&mut out, piece);
            }
            prop_assert!(framing.end(&mut out, &HeaderMap::new()));
            out.extend_from_slice(b"next");
            let mut cut: Vec<&[u8]> = Vec::new();
            let mut rest = &out[..];
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let (piece, left) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
                cut.push(piece);
                rest = left;
            }
            let (found, rest, body) = whole(chunked(), &cut).unwrap();
            prop_assert_eq!(found, pieces.concat());
            prop_assert_eq!(&rest[..], b"next");
            prop_assert_eq!(body, Body::Over);
        }

        #[test]
        fn nothing_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = whole(chunked(), &[&text]);
        }
    }
}
