//! Where a request's body ends in what a client sends, found without changing a byte of it.
//!
//! Bytes behind that end belong to the next request. Pingora would refuse the request under way
//! for them, or lose them.

use crate::proxy::hygiene::chunk_size;
use std::io::{Error, ErrorKind, Result};

/// A chunk's size line with its extensions, and a line of a trailer, is no longer.
const LINE_MAX: usize = 4 << 10;
/// Lines of a trailer.
const TRAILERS_MAX: u32 = 100;

#[derive(Debug, Default, PartialEq, Eq)]
pub enum Extent {
    #[default]
    Over,
    /// So much is left.
    Length(u64),
    Chunked {
        part: Part,
        /// The line under way, where `part` is one.
        line: Vec<u8>,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    Size,
    /// With so much left of a chunk.
    Data(u64),
    /// The line that ends a chunk.
    End,
    /// Behind the last chunk, after so many lines.
    Trailer(u32),
}

impl Extent {
    pub fn chunked() -> Extent {
        Extent::Chunked {
            part: Part::Size,
            line: Vec::new(),
        }
    }

    /// How many bytes at the beginning of `came` belong to the body. Fails where the chunks have
    /// no reading.
    pub fn take(&mut self, came: &[u8]) -> Result<usize> {
        let mut at = 0;
        while at < came.len() {
            at += match self {
                Extent::Over => break,
                Extent::Length(left) => {
                    let count = within(left, came.len() - at);
                    if *left == 0 {
                        *self = Extent::Over;
                    }
                    count
                }
                Extent::Chunked { part, line } => match part {
                    Part::Data(left) => {
                        let count = within(left, came.len() - at);
                        if *left == 0 {
                            *part = Part::End;
                        }
                        count
                    }
                    _ => {
                        let rest = &came[at..];
                        let end = memchr::memchr(b'\n', rest).map(|end| end + 1);
                        line.extend_from_slice(&rest[..end.unwrap_or(rest.len())]);
                        if line.len() > LINE_MAX {
                            return Err(impossible());
                        }
                        if end.is_some() && is_over(part, line)? {
                            *self = Extent::Over;
                        }
                        end.unwrap_or(rest.len())
                    }
                },
            };
        }
        Ok(at)
    }
}

fn within(left: &mut u64, there: usize) -> usize {
    let count = usize::try_from(*left).map_or(there, |left| left.min(there));
    *left -= count as u64;
    count
}

/// Reads a line, which may turn out to be the last one.
fn is_over(part: &mut Part, line: &mut Vec<u8>) -> Result<bool> {
    match part {
        // Pingora's parser is content with less.
        Part::Size => {
            *part = match chunk_size(line).ok_or_else(impossible)? {
                0 => Part::Trailer(0),
                size => Part::Data(size),
            };
        }
        Part::End if line == b"\r\n" => *part = Part::Size,
        Part::Trailer(_) if line == b"\r\n" => return Ok(true),
        Part::Trailer(lines) if *lines < TRAILERS_MAX => *lines += 1,
        Part::End | Part::Trailer(_) | Part::Data(_) => return Err(impossible()),
    }
    line.clear();
    Ok(false)
}

fn impossible() -> Error {
    Error::new(ErrorKind::InvalidData, "a request with an impossible chunk")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Part of `text` that belongs to the body, when it comes in pieces of this size.
    fn taken(mut extent: Extent, text: &[u8], size: usize) -> Result<(&[u8], Extent)> {
        let mut all = 0;
        for piece in text.chunks(size) {
            let count = extent.take(piece)?;
            all += count;
            if count < piece.len() {
                break;
            }
        }
        Ok((&text[..all], extent))
    }

    #[test]
    fn a_body_ends_where_it_says_however_it_is_cut() {
        let bodies: [(Extent, &[u8]); 6] = [
            (Extent::Over, b""),
            (Extent::Length(5), b"hello"),
            (Extent::chunked(), b"0\r\n\r\n"),
            (Extent::chunked(), b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"),
            (
                Extent::chunked(),
                b"5;a=\"b\"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
            ),
            (Extent::chunked(), b"4\r\n\r\n\r\n\r\n0\r\n\r\n"),
        ];
        for (extent, body) in bodies {
            let text = [body, b"\r\nGET / HTTP/1.1\r\n\r\n"].concat();
            for size in 1..=text.len() {
                let begun = match &extent {
                    Extent::Over => Extent::Over,
                    Extent::Length(length) => Extent::Length(*length),
                    Extent::Chunked { .. } => Extent::chunked(),
                };
                let (found, left) = taken(begun, &text, size).unwrap();
                assert_eq!(found, body, "in pieces of {size}");
                assert_eq!(left, Extent::Over);
            }
        }
    }

    #[test]
    fn chunks_without_a_reading_are_refused() {
        let endless = [&b"0\r\n"[..], &b"a: b\r\n".repeat(200)].concat();
        for text in [
            &b"xyz\r\n"[..],
            b"-1\r\n",
            b"5\r\nhello!\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"fffffffffffffffff\r\n",
            b"5;\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"5;a\0\r\nhello\r\n0\r\n\r\n",
            b"5;a@\r\nhello\r\n0\r\n\r\n",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            &[b'0'; LINE_MAX + 1],
            &endless,
        ] {
            for size in [1, 7, text.len()] {
                let found = taken(Extent::chunked(), text, size);
                assert!(found.is_err(), "{}", text.escape_ascii());
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(
            text in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'0')], 0..200),
            size in 1usize..50,
        ) {
            let _ = taken(Extent::chunked(), &text, size);
        }
    }
}
