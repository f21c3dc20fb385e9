//! Where an answer's body ends, as the replica frames it, and how it is framed for the client.

use crate::proxy::hygiene::{self, chunk_size};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{StatusCode, header};
use pingora::http::ResponseHeader;
use std::fmt::Write;

/// A chunk's size line, with whatever extensions it has, is no longer; nor is a line of a trailer.
const LINE_MAX: usize = 4 << 10;
/// Lines of a trailer, which are read and go no further.
const TRAILERS_MAX: u32 = 100;

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
    /// RFC 9112 §6.3. What `hygiene::response` refuses has no body here.
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

    pub fn is_over(&self) -> bool {
        *self == Body::Over
    }

    /// The next piece of what came; `None`: more must come first, or it is over.
    pub fn take(&mut self, inbox: &mut BytesMut) -> Result<Option<Bytes>, &'static str> {
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
                        None => return Err("an answer with an impossible chunk"),
                        Some(0) => Chunk::Trailer(0),
                        Some(size) => Chunk::Data(size),
                    });
                }
                Body::Chunked(Chunk::End) => {
                    match inbox.get(..2) {
                        Some(b"\r\n") => inbox.advance(2),
                        Some(_) => {
                            return Err("an answer with a chunk of a wrong size");
                        }
                        None => return Ok(None),
                    }
                    *self = Body::Chunked(Chunk::Size);
                }
                Body::Chunked(Chunk::Trailer(lines)) => {
                    let Some(end) = memchr::memchr(b'\n', inbox) else {
                        return match inbox.len() < LINE_MAX {
                            true => Ok(None),
                            false => Err("an answer with too long a trailer"),
                        };
                    };
                    let line = inbox.split_to(end + 1);
                    *lines += 1;
                    if line.trim_ascii().is_empty() {
                        *self = Body::Over;
                    } else if *lines > TRAILERS_MAX {
                        return Err("an answer with too long a trailer");
                    }
                }
            }
        }
    }
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
        match self {
            Framing::Over => 0,
            Framing::Length(left) => {
                let count =
                    usize::try_from(*left).map_or(piece.len(), |left| left.min(piece.len()));
                *left -= count as u64;
                out.put_slice(&piece[..count]);
                count
            }
            // An empty chunk would be the last one.
            Framing::Chunked if piece.is_empty() => 0,
            Framing::Chunked => {
                let _ = write!(out, "{:x}\r\n", piece.len());
                out.put_slice(piece);
                out.put_slice(b"\r\n");
                piece.len()
            }
            Framing::Close => {
                out.put_slice(piece);
                piece.len()
            }
        }
    }

    /// Adds the end. False: the head promised more.
    pub fn end(&self, out: &mut BytesMut) -> bool {
        if *self == Framing::Chunked {
            out.put_slice(b"0\r\n\r\n");
        }
        !matches!(self, Framing::Length(left) if *left > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All of a body that comes in these pieces, and what is left behind it.
    fn whole(mut body: Body, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, Body), &'static str> {
        let (mut inbox, mut found) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            inbox.extend_from_slice(piece);
            while let Some(piece) = body.take(&mut inbox)? {
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
    fn chunks_may_have_extensions_and_trailers_which_go_no_further() {
        let text = b"5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\n\r\nHTTP/1.1";
        let (found, rest, body) = whole(chunked(), &[text]).unwrap();
        assert_eq!(
            (&found[..], &rest[..], body),
            (&b"hello!"[..], &b"HTTP/1.1"[..], Body::Over)
        );
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
            prop_assert!(framing.end(&mut out));
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
