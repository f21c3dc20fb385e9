//! Transforms at work on the body of one answer.

use crate::plugin::{Broken, Transform};
use bytes::{Bytes, BytesMut};
use http::{Version, header};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorType, Result};

/// Each transform gets what the one before it makes. Without any, pieces pass as they are.
#[derive(Default)]
pub struct Transforms {
    stages: Vec<Box<dyn Transform>>,
    is_over: bool,
}

impl Transforms {
    pub fn new(stages: Vec<Box<dyn Transform>>) -> Transforms {
        Transforms {
            stages,
            is_over: false,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Says in the head of an answer that the length of its body is unknown.
    pub fn announce(&self, head: &mut ResponseHeader) -> Result<()> {
        if !self.is_empty() {
            head.remove_header(&header::CONTENT_LENGTH);
            head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
            // There are no chunks in HTTP/1.0.
            head.set_version(Version::HTTP_11);
        }
        Ok(())
    }

    /// Returns what goes down of a piece. Nothing comes after the last one.
    pub fn pass(&mut self, piece: Bytes, is_last: bool) -> Result<Bytes> {
        if self.is_empty() {
            return Ok(piece);
        }
        if self.is_over || (piece.is_empty() && !is_last) {
            return Ok(Bytes::new());
        }
        self.is_over = is_last;
        let mut piece = piece;
        for stage in &mut self.stages {
            let mut out = BytesMut::new();
            stage.piece(&piece, is_last, &mut out).map_err(broken)?;
            piece = out.freeze();
            if piece.is_empty() && !is_last {
                break;
            }
        }
        Ok(piece)
    }

    /// Passes a whole body at once, and says its length in the head.
    pub fn pass_whole(&mut self, body: Bytes, head: &mut ResponseHeader) -> Result<Bytes> {
        if self.is_empty() {
            return Ok(body);
        }
        let body = self.pass(body, true)?;
        tell_length(head, body.len())?;
        Ok(body)
    }
}

/// Says in the head of an answer how long its body has become.
pub fn tell_length(head: &mut ResponseHeader, length: usize) -> Result<()> {
    head.remove_header(&header::TRANSFER_ENCODING);
    head.insert_header(header::CONTENT_LENGTH, length)
}

fn broken(why: Broken) -> Box<Error> {
    let what = "a body that a filter could not transform";
    Error::because(ErrorType::InternalError, what, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubles each byte; holds every other piece back until the next one.
    #[derive(Default)]
    struct Double {
        held: Option<Vec<u8>>,
    }

    impl Transform for Double {
        fn piece(&mut self, piece: &[u8], is_last: bool, out: &mut BytesMut) -> Result<(), Broken> {
            assert!(!piece.is_empty() || is_last);
            if piece.contains(&b'!') {
                return Err(Broken("no exclamations".to_owned()));
            }
            let doubled = piece.iter().flat_map(|byte| [*byte, *byte]).collect();
            match self.held.take() {
                None if !is_last => self.held = Some(doubled),
                held => {
                    out.extend_from_slice(&held.unwrap_or_default());
                    out.extend_from_slice(&doubled);
                }
            }
            Ok(())
        }
    }

    fn doubles(count: usize) -> Transforms {
        let stages = (0..count).map(|_| Box::<Double>::default() as Box<dyn Transform>);
        Transforms::new(stages.collect())
    }

    #[test]
    fn each_transform_gets_what_the_one_before_makes() {
        for (count, expected) in [(0, "abcd"), (1, "aabbccdd"), (2, "aaaabbbbccccdddd")] {
            let mut transforms = doubles(count);
            let mut out = Vec::new();
            for piece in ["a", "", "b", "c", "d"] {
                let piece = Bytes::from_static(piece.as_bytes());
                out.extend(transforms.pass(piece, false).unwrap());
            }
            out.extend(transforms.pass(Bytes::new(), true).unwrap());
            // Told twice where two parties notice the end.
            out.extend(transforms.pass(Bytes::new(), true).unwrap());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn the_head_tells_the_length_once_it_is_known() {
        let mut head = ResponseHeader::build(200, None).unwrap();
        head.insert_header("content-length", "2").unwrap();
        doubles(0).announce(&mut head).unwrap();
        assert_eq!(head.headers["content-length"], "2");
        let mut transforms = doubles(1);
        transforms.announce(&mut head).unwrap();
        assert!(!head.headers.contains_key("content-length"));
        assert_eq!(head.headers["transfer-encoding"], "chunked");
        let body = transforms.pass_whole(Bytes::from_static(b"ab"), &mut head);
        assert_eq!(body.unwrap(), "aabb");
        assert_eq!(head.headers["content-length"], "4");
        assert!(!head.headers.contains_key("transfer-encoding"));
    }

    #[test]
    fn a_body_that_cannot_be_transformed_is_an_error() {
        assert!(doubles(2).pass(Bytes::from_static(b"!"), true).is_err());
    }
}
