//! The preface with which a client begins HTTP/2 unasked (RFC 9113 §3.4).

const PREFACE: &[u8; BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const BYTES: usize = 24;

/// Whether a connection that begins with `text` is HTTP/2, or may turn out to be.
pub fn may_be(text: &[u8]) -> bool {
    let both = text.len().min(BYTES);
    both > 0 && text[..both] == PREFACE[..both]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_known_by_its_bytes_however_many_have_come() {
        for (text, expected) in [
            (&b""[..], false),
            (b"P", true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", true),
            (b"PUT /x", false),
            (b"PRI * HTTP/2.0\r\n\r\nSX", false),
        ] {
            assert_eq!(may_be(text), expected, "{}", text.escape_ascii());
        }
    }
}
