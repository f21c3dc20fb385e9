//! Complaints of serde, in words of this product.

use super::report::At;
use super::suggestion::{did_you_mean, quoted};

/// An error of serde, taken apart. Its text is the only interface, because plugins bring structs of
/// their own.
pub enum Complaint {
    UnknownKey { key: String, known: Vec<String> },
    UnknownName { name: String, known: Vec<String> },
    Missing(String),
    Other(String),
}

impl Complaint {
    pub fn new(message: &str) -> Self {
        let mut names = message.split('`').skip(1).step_by(2).map(str::to_owned);
        if message.starts_with("unknown field `") {
            Complaint::UnknownKey {
                key: names.next().unwrap_or_default(),
                known: names.collect(),
            }
        } else if message.starts_with("unknown variant `") {
            Complaint::UnknownName {
                name: names.next().unwrap_or_default(),
                known: names.collect(),
            }
        } else if message.starts_with("missing field `") {
            Complaint::Missing(names.next().unwrap_or_default())
        } else {
            Complaint::Other(plain(message))
        }
    }

    pub fn report(
        &self,
        at: &At<'_>,
        split_off: &[&str],
        elsewhere: impl Fn(&str) -> Option<&'static str>,
    ) {
        match self {
            Complaint::UnknownKey { key, known } => {
                let known = || {
                    let known = known.iter().map(String::as_str);
                    split_off.iter().copied().chain(known)
                };
                let hint = elsewhere(key)
                    .map(str::to_owned)
                    .or_else(|| did_you_mean(key, known()))
                    .unwrap_or_else(|| match known().count() {
                        0 => "there are no keys here".to_owned(),
                        _ => format!("the keys here are {}", quoted(known())),
                    });
                at.error_on(&[key], format!("unknown key `{key}`"), hint);
            }
            Complaint::UnknownName { name, known } => {
                let known = || known.iter().map(String::as_str);
                let message = format!("expected one of {}, found `{name}`", quoted(known()));
                match did_you_mean(name, known()) {
                    Some(hint) => at.error_hint(message, hint),
                    None => at.error(message),
                }
            }
            Complaint::Missing(key) => at.error(format!("`{key}` is missing")),
            Complaint::Other(message) => at.error(message),
        }
    }
}

/// Serde's text in plain words: `invalid type: string "x", expected u16` becomes "expected a whole
/// number, found `x`".
fn plain(message: &str) -> String {
    let parts = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, expected)) = parts else {
        return message.to_owned();
    };
    let found = match found {
        "unit value" => "nothing".to_owned(),
        "map" => "a mapping".to_owned(),
        "sequence" => "a list".to_owned(),
        _ => {
            let shown = found.find(['`', '"']).map(|start| &found[start + 1..]);
            let shown = shown.and_then(|shown| shown.get(..shown.len().saturating_sub(1)));
            shown.map_or_else(|| found.to_owned(), |shown| format!("`{shown}`"))
        }
    };
    let expected = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        _ if expected.starts_with("a nonzero ") => "a whole number from 1",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" | "a YAML mapping" => "a mapping",
        _ if expected.starts_with("struct ") => "a mapping",
        _ => expected,
    };
    format!("expected {expected}, found {found}")
}
