//! Values that plugins read from the configuration.

use bytesize::ByteSize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use std::time::Duration;

/// A duration as people write it, for `#[serde(deserialize_with = "duration")]`.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_str(DurationVisitor)
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 250ms, 90s or 2m")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        humantime::parse_duration(text).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Text such as `256MiB` in bytes. Units are powers of 1024 throughout, as in Compose: `64m`,
/// `64mb` and `64MiB` are the same.
pub fn bytes(shown: &str) -> Option<u64> {
    let shown = shown.trim();
    let unit_at = shown.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = shown.split_at(unit_at.unwrap_or(shown.len()));
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => "B".to_owned(),
        unit => {
            let prefix = unit.strip_suffix("ib").or(unit.strip_suffix('b'));
            format!("{}iB", prefix.unwrap_or(unit))
        }
    };
    let size: ByteSize = format!("{number}{unit}").parse().ok()?;
    Some(size.as_u64())
}
