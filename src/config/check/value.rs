//! Checks of single values, with their messages.

use crate::config::name::name_from;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::what;
use crate::plugin::bytes;
use crate::service::spec::{NAME_BYTES_MAX, is_name};
use bytesize::ByteSize;
use serde_yaml::{Mapping, Value};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A problem with a value.
#[derive(Debug)]
pub struct ValueError {
    pub message: String,
    pub hint: Option<String>,
}

impl ValueError {
    pub fn new(message: impl Into<String>) -> Self {
        ValueError {
            message: message.into(),
            hint: None,
        }
    }

    pub fn hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        ValueError {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

impl At<'_> {
    /// The value, or `None` after its problem was reported here.
    pub fn accept<T>(&self, parsed: Result<T, ValueError>) -> Option<T> {
        match parsed {
            Ok(value) => return Some(value),
            Err(ValueError {
                message,
                hint: Some(hint),
            }) => self.error_hint(message, hint),
            Err(ValueError { message, .. }) => self.error(message),
        }
        None
    }

    /// The value of `key`, or `default` when it is left out; `None` after a problem.
    pub fn read<T>(
        &self,
        key: &str,
        typed: Option<&Scalar>,
        default: T,
        parse: impl Fn(&Scalar) -> Result<T, ValueError>,
    ) -> Option<T> {
        match typed {
            None => Some(default),
            Some(typed) => self.key(key).accept(parse(typed)),
        }
    }

    /// The value of `key`; `None` when it is left out, and after a problem.
    pub fn optional<T>(
        &self,
        key: &str,
        typed: Option<&Scalar>,
        parse: impl Fn(&Scalar) -> Result<T, ValueError>,
    ) -> Option<T> {
        self.key(key).accept(parse(typed?))
    }
}

pub fn text(typed: &Scalar) -> Result<String, ValueError> {
    match typed.to_string() {
        text if text.trim().is_empty() => Err(ValueError::new("is empty")),
        text => Ok(text),
    }
}

pub fn count(range: RangeInclusive<u32>) -> impl Fn(&Scalar) -> Result<u32, ValueError> {
    move |typed| {
        let number = match typed {
            Scalar::Integer(number) => u32::try_from(*number).ok(),
            // Values from the environment, and quoted ones.
            Scalar::Text(text) => text.trim().parse().ok(),
            Scalar::Number(_) | Scalar::Bool(_) => None,
        };
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                ValueError::new(format!(
                    "expected a whole number from {} to {}, found `{typed}`",
                    range.start(),
                    range.end()
                ))
            })
    }
}

pub fn boolean(typed: &Scalar) -> Result<bool, ValueError> {
    match typed {
        Scalar::Bool(value) => Ok(*value),
        // From a variable, or in quotes.
        Scalar::Text(text) if text == "true" => Ok(true),
        Scalar::Text(text) if text == "false" => Ok(false),
        other => Err(ValueError::new(format!(
            "expected `true` or `false`, found `{other}`"
        ))),
    }
}

/// A check for one of a few words.
pub fn one_of<T: Copy>(known: &[(&'static str, T)]) -> impl Fn(&Scalar) -> Result<T, ValueError> {
    let known = known.to_vec();
    move |typed| {
        let typed = typed.to_string();
        let found = known.iter().find(|(word, _)| *word == typed);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<String> = known.iter().map(|(word, _)| format!("`{word}`")).collect();
            ValueError::new(format!("expected {}, found `{typed}`", words.join(" or ")))
        })
    }
}

/// A percentage, as in `20%`.
pub fn percent(typed: &Scalar) -> Result<u32, ValueError> {
    let shown = typed.to_string();
    let number = shown.strip_suffix('%').map(str::trim_end);
    let number = number.and_then(|number| number.parse().ok());
    number.filter(|number| *number <= 100).ok_or_else(|| {
        let message = format!("expected a percentage from 0% to 100%, found `{shown}`");
        match shown.parse::<u32>() {
            Ok(number) if number <= 100 => ValueError::hint(message, format!("write `{number}%`")),
            _ => ValueError::new(message),
        }
    })
}

pub fn port(typed: &Scalar) -> Result<u16, ValueError> {
    let range = 1..=u32::from(u16::MAX);
    match count(range)(typed) {
        Ok(port) => Ok(port as u16),
        Err(_) => Err(ValueError::new(format!(
            "expected a port from 1 to 65535, found `{typed}`"
        ))),
    }
}

/// Longest duration; keeps sums of instants in range.
pub const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

pub fn duration(typed: &Scalar) -> Result<Duration, ValueError> {
    match maybe_zero_duration(typed)? {
        Duration::ZERO => Err(ValueError::hint(
            "must be longer than zero",
            "the shortest is `1ms`",
        )),
        duration => Ok(duration),
    }
}

pub fn maybe_zero_duration(typed: &Scalar) -> Result<Duration, ValueError> {
    let shown = typed.to_string();
    if shown.parse::<f64>().is_ok() {
        return Err(ValueError::hint(
            format!("expected a duration with a unit, found `{shown}`"),
            format!("add a unit: `{shown}s` or `{shown}ms`"),
        ));
    }
    let duration = humantime::parse_duration(&shown).map_err(|_| {
        ValueError::hint(
            format!("expected a duration, found `{shown}`"),
            "write a number and a unit, as in `500ms`, `10s` or `1m30s`",
        )
    })?;
    if duration > DURATION_MAX {
        return Err(ValueError::new(format!(
            "expected at most `1day`, found `{shown}`"
        )));
    }
    if duration > Duration::ZERO && duration < Duration::from_millis(1) {
        return Err(ValueError::new(format!(
            "expected at least `1ms`, found `{shown}`"
        )));
    }
    Ok(duration)
}

/// A check for a size, in bytes.
pub fn size(range: RangeInclusive<u64>) -> impl Fn(&Scalar) -> Result<u64, ValueError> {
    move |typed| {
        let shown = typed.to_string();
        let bytes = bytes(&shown).ok_or_else(|| {
            ValueError::hint(
                format!("expected a size, found `{shown}`"),
                "write a number and a unit, as in `64KiB`, `256m` or `1GiB`",
            )
        })?;
        if range.contains(&bytes) {
            return Ok(bytes);
        }
        let message = format!(
            "expected {} to {}, found `{shown}`",
            ByteSize::b(*range.start()).display().iec(),
            ByteSize::b(*range.end()).display().iec()
        );
        let number = shown.trim().parse::<u64>().ok();
        let units = ["KiB", "MiB", "GiB"].into_iter().zip([10, 20, 30]);
        let mut meant = units.filter(|(_, power)| {
            let bytes = number.and_then(|number| number.checked_mul(1 << power));
            bytes.is_some_and(|bytes| range.contains(&bytes))
        });
        Err(match meant.next() {
            Some((unit, _)) => ValueError::hint(
                message,
                format!(
                    "a number alone counts bytes: write `{}{unit}`",
                    shown.trim()
                ),
            ),
            None => ValueError::new(message),
        })
    }
}

pub fn address(typed: &Scalar) -> Result<SocketAddr, ValueError> {
    let shown = typed.to_string();
    // `[::ffff:10.0.0.7]:80` is `10.0.0.7:80`, and is compared with others as that.
    let parsed = shown.parse::<SocketAddr>();
    let canonical = parsed.map(|parsed| match parsed.ip().to_canonical() {
        IpAddr::V4(address) => SocketAddr::from((address, parsed.port())),
        IpAddr::V6(_) => parsed,
    });
    canonical.map_err(|_| {
        let message = format!("expected an IP address and a port, found `{shown}`");
        let port = shown.strip_prefix(':').unwrap_or(&shown);
        if port.parse::<u16>().is_ok() {
            return ValueError::hint(message, format!("for every interface: `0.0.0.0:{port}`"));
        }
        if shown.contains("://") {
            return ValueError::hint(message, "leave the scheme out, as in `10.0.0.7:8080`");
        }
        if shown
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok()
        {
            return ValueError::hint(message, "add a port, as in `10.0.0.7:8080` or `[::1]:8080`");
        }
        if shown.contains(|c: char| c.is_ascii_alphabetic()) {
            return ValueError::hint(message, "host names are not resolved: write the address");
        }
        ValueError::hint(message, "as in `10.0.0.7:8080` or `[::1]:8080`")
    })
}

/// A list of addresses without duplicates; each also passes `check`.
pub fn addresses(
    at: &At<'_>,
    typed: &[Value],
    check: impl Fn(&At<'_>, SocketAddr),
) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for (index, value) in typed.iter().enumerate() {
        let at = at.index(index);
        let parsed = at.scalar(value).map(|typed| address(&typed));
        let Some(address) = parsed.and_then(|parsed| at.accept(parsed)) else {
            continue;
        };
        if addresses.contains(&address) {
            at.error(format!("`{address}` is listed twice"));
            continue;
        }
        check(&at, address);
        addresses.push(address);
    }
    addresses
}

/// The mapping at `at`, empty when it is left out.
pub fn mapping(at: &At<'_>, typed: Option<Value>, example: &str) -> Option<Mapping> {
    match typed {
        None => Some(Mapping::new()),
        Some(Value::Mapping(mapping)) => Some(mapping),
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                format!("as in `{example}`"),
            );
            None
        }
    }
}

/// Whether a key is the user's own: a place for anchors, which nothing reads.
pub fn is_extension(key: &Value) -> bool {
    key.as_str().is_some_and(|key| key.starts_with("x-"))
}

/// Checks a name; the hint has one that it could have been.
pub fn name(typed: &str, what: &str) -> Result<(), ValueError> {
    if is_name(typed) {
        return Ok(());
    }
    let rule = format!("use a-z, 0-9 and `-`, at most {NAME_BYTES_MAX} characters");
    let hint = match name_from(typed) {
        Some(name) => format!("{rule}, as in `{name}`"),
        None => rule,
    };
    Err(ValueError::hint(
        format!("`{typed}` cannot be the name of {what}"),
        hint,
    ))
}

/// Single values of a list, each with its place.
pub fn texts<'a>(at: &At<'a>, items: Vec<Value>) -> Vec<(At<'a>, String)> {
    let one = |(index, item)| {
        let at = at.index(index);
        let text = at.scalar(&item)?.to_string();
        // A word that looks like a number stays as it was typed.
        let text = at.text().map_or(text, str::to_owned);
        Some((at, text))
    };
    items.into_iter().enumerate().filter_map(one).collect()
}
