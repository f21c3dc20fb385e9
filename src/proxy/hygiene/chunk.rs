//! The line before a chunk (RFC 9112 §7.1), read to the letter: a program behind this one, or a
//! proxy before it, may find another size or another end in what is only nearly right.

/// More digits than a 64-bit number has may wrap around somewhere.
const DIGITS_MAX: usize = 16;

/// The size in a line that ends with its line feed; `None`: the line has no reading.
pub fn size(line: &[u8]) -> Option<u64> {
    let line = line.strip_suffix(b"\r\n")?;
    let count = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let count = count.count();
    if !(1..=DIGITS_MAX).contains(&count) {
        return None;
    }
    let (digits, mut rest) = line.split_at(count);
    while !rest.is_empty() {
        rest = extension(rest)?;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let digits = digits.iter().filter_map(digit);
    Some(digits.fold(0, |size, digit| size << 4 | u64::from(digit)))
}

/// Takes `;name` or `;name=value` off the beginning.
fn extension(text: &[u8]) -> Option<&[u8]> {
    let text = skip_blanks(text).strip_prefix(b";")?;
    let text = token(skip_blanks(text))?;
    let Some(value) = skip_blanks(text).strip_prefix(b"=") else {
        return Some(text);
    };
    let value = skip_blanks(value);
    match value.strip_prefix(b"\"") {
        Some(quoted) => behind_quote(quoted),
        None => token(value),
    }
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|byte| b" \t".contains(byte));
    &text[blanks.count()..]
}

/// Rest behind a token, which has one character at least.
fn token(text: &[u8]) -> Option<&[u8]> {
    let is_token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let count = text.iter().take_while(is_token).count();
    (count > 0).then(|| &text[count..])
}

/// Rest behind the quote that ends `text`.
fn behind_quote(text: &[u8]) -> Option<&[u8]> {
    let is_text = |byte: u8| byte == b'\t' || byte >= b' ' && byte != 0x7f;
    let mut at = 0;
    loop {
        match *text.get(at)? {
            b'"' => return Some(&text[at + 1..]),
            b'\\' if is_text(*text.get(at + 1)?) => at += 2,
            byte if is_text(byte) && byte != b'\\' => at += 1,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_begins_with_its_size_and_perhaps_extensions() {
        for (line, expected) in [
            (&b"0\r\n"[..], 0),
            (b"5\r\n", 5),
            (b"00aF\r\n", 0xaf),
            (b"ffffffffffffffff\r\n", u64::MAX),
            (b"5;a\r\n", 5),
            (b"5;a=b;c\r\n", 5),
            (b"5 ; a = \"b;\\\" c\"\r\n", 5),
            (b"5;a=\"\"\r\n", 5),
        ] {
            assert_eq!(size(line), Some(expected), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn what_is_nearly_a_size_has_no_reading() {
        for line in [
            &b"\r\n"[..],
            b"5\n",
            b"5",
            b"5\r",
            b"0x5\r\n",
            b"+5\r\n",
            b" 5\r\n",
            b"5 \r\n",
            b"5\t\r\n",
            b"5;\r\n",
            b"5; \r\n",
            b"5;a \r\n",
            b"5;a=\r\n",
            b"5;a b\r\n",
            b"5;=b\r\n",
            b"5;a@b\r\n",
            b"5;\0\r\n",
            b"5\0\r\n",
            b"5;a=\"b\r\n",
            b"5;a=\"b\0\"\r\n",
            b"5;a=\"b\\\r\n",
            b"5;a\r;b\r\n",
            b"5;a\nb\r\n",
            b"10000000000000000\r\n",
        ] {
            assert_eq!(size(line), None, "{}", line.escape_ascii());
        }
    }
}
