//! DNS messages (RFC 1035), as far as an ACME client needs them: one question, and its answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Jumps of compressed names that are followed.
const JUMPS_MAX: usize = 16;
/// Records of an answer that are read.
const RECORDS_MAX: usize = 256;
const CLASS_IN: u16 = 1;
const HEADER_BYTES: usize = 12;

/// Record type of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    A,
    Aaaa,
    Txt,
    Soa,
}

impl Kind {
    fn code(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Soa => 6,
            Kind::Txt => 16,
            Kind::Aaaa => 28,
        }
    }
}

/// An answer, as far as it is understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 0: there is one; 3: no such name.
    pub code: u8,
    /// Cut off by the server; TCP would have the rest.
    pub is_cut: bool,
    pub addresses: Vec<IpAddr>,
    pub texts: Vec<String>,
    /// Owners of SOA records, in the answer or beside it: the zone of the name.
    pub zones: Vec<String>,
}

/// A question as bytes; `None`: `name` is none.
pub fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + name.len() + 6);
    bytes.extend(id.to_be_bytes());
    // Recursion desired; one question.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok()?;
        if !(1..=63).contains(&length) {
            return None;
        }
        bytes.push(length);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.code().to_be_bytes());
    bytes.extend(CLASS_IN.to_be_bytes());
    Some(bytes)
}

/// Reads an answer to the question with `id`; `None`: it is none.
pub fn answer(id: u16, bytes: &[u8]) -> Option<Answer> {
    let mut at = Reader { bytes, at: 0 };
    if at.u16()? != id {
        return None;
    }
    let flags = at.u16()?;
    if flags & 0x8000 == 0 {
        return None;
    }
    let questions = at.u16()?;
    let records = usize::from(at.u16()?) + usize::from(at.u16()?);
    at.u16()?;
    for _ in 0..questions.min(4) {
        at.name()?;
        at.skip(4)?;
    }
    let mut answer = Answer {
        code: (flags & 0xf) as u8,
        is_cut: flags & 0x0200 != 0,
        ..Answer::default()
    };
    for _ in 0..records.min(RECORDS_MAX) {
        // A record that is cut off ends the list.
        if at.record(&mut answer).is_none() {
            break;
        }
    }
    Some(answer)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }

    /// A name in lower case, without a final dot; the cursor stands behind it.
    fn name(&mut self) -> Option<String> {
        let mut labels = Vec::new();
        let mut behind = None;
        let mut jumps = 0;
        loop {
            let length = self.u8()?;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.take(length.into())?;
                    labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
                }
                192..=255 => {
                    let low = self.u8()?;
                    behind.get_or_insert(self.at);
                    jumps += 1;
                    if jumps > JUMPS_MAX {
                        return None;
                    }
                    self.at = usize::from(length & 0x3f) << 8 | usize::from(low);
                }
                _ => return None,
            }
        }
        self.at = behind.unwrap_or(self.at);
        Some(labels.join("."))
    }

    fn record(&mut self, answer: &mut Answer) -> Option<()> {
        let owner = self.name()?;
        let (kind, class) = (self.u16()?, self.u16()?);
        self.skip(4)?;
        let length = self.u16()?;
        let data = self.take(length.into())?;
        if class != CLASS_IN {
            return Some(());
        }
        match kind {
            1 => {
                let four = <[u8; 4]>::try_from(data).ok()?;
                answer.addresses.push(Ipv4Addr::from(four).into());
            }
            28 => {
                let sixteen = <[u8; 16]>::try_from(data).ok()?;
                answer.addresses.push(Ipv6Addr::from(sixteen).into());
            }
            16 => answer.texts.push(text(data)?),
            6 => answer.zones.push(owner),
            _ => {}
        }
        Some(())
    }
}

/// The strings of a TXT record, joined.
fn text(mut data: &[u8]) -> Option<String> {
    let mut joined = Vec::new();
    while let Some((length, rest)) = data.split_first() {
        joined.extend(rest.get(..usize::from(*length))?);
        data = &rest[usize::from(*length)..];
    }
    Some(String::from_utf8_lossy(&joined).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_question_has_one_name() {
        let bytes = question(0x1234, "a.bc.", Kind::Txt).unwrap();
        assert_eq!(
            bytes,
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x02bc\x00\x00\x10\x00\x01"
        );
        assert_eq!(question(1, "a..b", Kind::A), None);
        assert_eq!(question(1, &"x".repeat(64), Kind::A), None);
    }

    #[test]
    fn addresses_texts_and_zones_are_read_through_compressed_names() {
        let mut bytes =
            b"\x12\x34\x81\x80\x00\x01\x00\x03\x00\x01\x00\x00\x01A\x02bc\x00\x00\x10\x00\x01"
                .to_vec();
        for record in [
            // TXT of two strings.
            &b"\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x3c\x00\x07\x02ab\x03cde"[..],
            b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x7f\x00\x00\x01",
            b"\xc0\x0c\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
            b"\xc0\x0e\x00\x06\x00\x01\x00\x00\x00\x3c\x00\x02\x01x",
        ] {
            bytes.extend(record);
        }
        let expected = Answer {
            code: 0,
            is_cut: false,
            addresses: vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
            texts: vec!["abcde".to_owned()],
            zones: vec!["bc".to_owned()],
        };
        assert_eq!(answer(0x1234, &bytes), Some(expected));
        assert_eq!(answer(0x1235, &bytes), None);
    }

    #[test]
    fn a_name_that_points_at_itself_ends() {
        let bytes = b"\x12\x34\x81\x80\x00\x00\x00\x01\x00\x00\x00\x00\xc0\x0c\x00\x10\x00\x01";
        let read = answer(0x1234, bytes).unwrap();
        assert_eq!(read, Answer::default());
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = answer(0x1234, &bytes);
            let mut answered = b"\x12\x34\x81\x80\x00\x01\x00\x09\x00\x09\x00\x00".to_vec();
            answered.extend(bytes);
            let _ = answer(0x1234, &answered);
        }
    }
}
