//! gRPC-web as bytes: messages in base64, and trailers behind them in the body.

use super::grpc::Dialect;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;

/// First byte of the frame with the trailers.
const TRAILERS: u8 = 0x80;

/// Base64 that comes in pieces, any of which may end with padding.
#[derive(Default)]
pub struct Decoder {
    carry: Vec<u8>,
}

/// Bytes that are no base64.
#[derive(Debug, PartialEq, Eq)]
pub struct NotBase64;

impl Decoder {
    /// The bytes that are known with one more piece.
    pub fn piece(&mut self, piece: &[u8]) -> Result<Bytes, NotBase64> {
        self.carry.extend_from_slice(piece);
        let whole = self.carry.len() / 4 * 4;
        let mut decoded = Vec::with_capacity(whole / 4 * 3);
        let mut rest = &self.carry[..whole];
        while !rest.is_empty() {
            let end = memchr::memchr(b'=', rest).map_or(rest.len(), |at| (at / 4 + 1) * 4);
            let run = &rest[..end];
            BASE64_STANDARD
                .decode_vec(run, &mut decoded)
                .map_err(|_| NotBase64)?;
            rest = &rest[end..];
        }
        self.carry.drain(..whole);
        Ok(decoded.into())
    }

    /// Whether the end may be here.
    pub fn is_whole(&self) -> bool {
        self.carry.is_empty()
    }
}

/// A piece of an answer's body as the client gets it.
pub fn encoded(piece: Bytes, dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::WebText => BASE64_STANDARD.encode(&piece).into(),
        Dialect::Web | Dialect::Native => piece,
    }
}

/// The frame with the trailers.
pub fn trailer_frame(trailers: &HeaderMap) -> Bytes {
    let mut text = BytesMut::new();
    for (name, value) in trailers {
        text.put_slice(name.as_str().as_bytes());
        text.put_slice(b": ");
        text.put_slice(value.as_bytes());
        text.put_slice(b"\r\n");
    }
    let mut frame = BytesMut::with_capacity(text.len() + 5);
    frame.put_u8(TRAILERS);
    frame.put_u32(text.len() as u32);
    frame.unsplit(text);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn trailers_are_a_frame_of_lines() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let frame = trailer_frame(&trailers);
        assert_eq!(&frame[..], b"\x80\0\0\0\x10grpc-status: 0\r\n");
    }

    #[test]
    fn broken_base64_is_found() {
        for text in ["a!==", "====", "a=bc"] {
            assert_eq!(
                Decoder::default().piece(text.as_bytes()),
                Err(NotBase64),
                "{text}"
            );
        }
        let mut decoder = Decoder::default();
        assert_eq!(decoder.piece(b"AAA"), Ok(Bytes::new()));
        assert!(!decoder.is_whole());
    }

    proptest! {
        #[test]
        fn what_was_encoded_in_pieces_is_decoded_in_others(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..8),
            cut in 1usize..7,
        ) {
            let encode = |piece: &Vec<u8>| encoded(Bytes::from(piece.clone()), Dialect::WebText);
            let text: Vec<u8> = pieces.iter().flat_map(encode).collect();
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for piece in text.chunks(cut) {
                found.extend_from_slice(&decoder.piece(piece).unwrap());
            }
            prop_assert!(decoder.is_whole());
            prop_assert_eq!(found, pieces.concat());
        }
    }
}
