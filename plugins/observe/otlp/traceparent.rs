//! The header `traceparent` (W3C Trace Context, level 1).

use crate::plugin::prelude::*;
use http::HeaderMap;
use uuid::Uuid;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

const SAMPLED: u8 = 1;
/// Length of version 00: version, trace, parent and flags, separated by dashes.
const LENGTH: usize = 55;

/// The trace that a request continues, if its header is valid.
pub fn continued(headers: &HeaderMap) -> Option<Trace> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let text = value.as_bytes();
    let ends_there = match text.get(..2)? {
        b"00" => text.len() == LENGTH,
        // A later version may have further fields.
        _ => text.len() == LENGTH || text.get(LENGTH) == Some(&b'-'),
    };
    let dashes = [2, 35, 52].iter().all(|at| text.get(*at) == Some(&b'-'));
    if !ends_there || !dashes {
        return None;
    }
    let [version] = unhex(&text[..2])?;
    let id = unhex(&text[3..35])?;
    let parent = unhex(&text[36..52])?;
    let [flags] = unhex(&text[53..LENGTH])?;
    if version == 0xff || id == [0; 16] || parent == [0; 8] {
        return None;
    }
    Some(Trace {
        id,
        span: random().to_be_bytes(),
        parent: Some(parent),
        sampled: flags & SAMPLED != 0,
    })
}

/// A trace that begins here; `sample` of these are recorded.
pub fn new(sample: f64) -> Trace {
    let (high, low) = (random(), random());
    let mut id = [0; 16];
    id[..8].copy_from_slice(&high.to_be_bytes());
    id[8..].copy_from_slice(&low.to_be_bytes());
    Trace {
        id,
        span: random().to_be_bytes(),
        parent: None,
        // OpenTelemetry's TraceIdRatioBased: the id alone decides, so every party decides alike.
        sampled: ((low >> 1) as f64) < sample * (u64::MAX >> 1) as f64 || sample >= 1.0,
    }
}

pub fn value(trace: &Trace) -> HeaderValue {
    let flags = if trace.sampled { "01" } else { "00" };
    let text = format!("00-{}-{}-{flags}", hex(&trace.id), hex(&trace.span));
    HeaderValue::from_str(&text).expect("digits and dashes")
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// Lower case only, as the standard requires.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(*pair.get(1)?)?;
    }
    Some(bytes)
}

/// Never 0, which means none.
fn random() -> u64 {
    // The fixed bits of a UUID are mixed with random bits of its other half.
    let (high, low) = Uuid::new_v4().as_u64_pair();
    (high ^ low).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    fn of(values: &[&str]) -> Option<Trace> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        continued(&headers)
    }

    #[test]
    fn a_trace_goes_on_below_its_caller() {
        for (flags, sampled) in [("00", false), ("01", true), ("03", true), ("02", false)] {
            let trace = of(&[&format!("00-{TRACE}-{PARENT}-{flags}")]).unwrap();
            assert_eq!(hex(&trace.id), TRACE);
            assert_eq!(hex(&trace.parent.unwrap()), PARENT);
            assert_eq!(trace.sampled, sampled);
            let ours = hex(&trace.span);
            assert_ne!(ours, PARENT);
            let flags = if sampled { "01" } else { "00" };
            assert_eq!(value(&trace), format!("00-{TRACE}-{ours}-{flags}"));
        }
        let later = format!("cc-{TRACE}-{PARENT}-01");
        assert!(of(&[&later]).is_some());
        assert!(of(&[&format!("{later}-what-the-future-brings")]).is_some());
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let good = format!("00-{TRACE}-{PARENT}-01");
        let upper = good.to_uppercase();
        for wrong in [
            "",
            "00",
            &good[..54],
            &format!("{good}-more"),
            &format!("{good}0"),
            &upper,
            &good.replacen("00", "ff", 1),
            &good.replace('-', "_"),
            &format!("00-{}-{PARENT}-01", "0".repeat(32)),
            &format!("00-{TRACE}-{}-01", "0".repeat(16)),
            &good.replace("0af7", "0gf7"),
            &format!("cc-{TRACE}-{PARENT}-01x"),
        ] {
            assert_eq!(of(&[wrong]), None, "{wrong}");
        }
        assert_eq!(of(&[&good, &good]), None);
    }

    #[test]
    fn as_many_are_recorded_as_are_asked_for() {
        let recorded = |sample| (0..10_000).filter(|_| new(sample).sampled).count();
        assert_eq!(recorded(0.0), 0);
        assert_eq!(recorded(1.0), 10_000);
        let some = recorded(0.2);
        assert!((1_600..2_400).contains(&some), "{some}");
    }
}
