//! Values into structs, and every misfit on the way as a problem.

use super::error::{At, did_you_mean, quoted};
use super::raw::{Scalar, Shape};
use serde_yaml::{Mapping, Value};

/// Why a value does not fit a struct: where inside of it, and serde's words.
pub struct Misfit {
    pub path: String,
    pub message: String,
}

impl At<'_> {
    /// Reads the part of the file that is here. What does not fit is reported and left out, so
    /// that the rest can still be checked.
    pub fn shape<T: Shape>(&self, value: Value) -> T {
        let read = |value: &Value| {
            serde_path_to_error::deserialize(value.clone()).map_err(|error: Error| Misfit {
                path: error.path().to_string(),
                message: error.inner().to_string(),
            })
        };
        self.fit(value, &[], T::elsewhere, read).unwrap_or_default()
    }

    /// Tries `read`, reports the misfit, takes the misfit out, and tries again. `None` when
    /// nothing is left to take out. `known` are keys that were split off before.
    pub fn fit<T>(
        &self,
        mut value: Value,
        known: &[&str],
        elsewhere: impl Fn(&str) -> Option<&'static str>,
        mut read: impl FnMut(&Value) -> Result<T, Misfit>,
    ) -> Option<T> {
        let mut removed: Vec<String> = Vec::new();
        loop {
            let misfit = match read(&value) {
                Ok(read) => return Some(read),
                Err(misfit) => misfit,
            };
            let complaint = Complaint::new(&misfit.message);
            let mut path = misfit.path;
            match &complaint {
                // It was there, was wrong, and has been reported.
                Complaint::Missing(key) if removed.contains(&inside(&path, key)) => return None,
                Complaint::UnknownKey { key, .. } => {
                    let around = around(&path, key).to_owned();
                    complaint.report(&self.inner(&around), known, &elsewhere);
                    path = inside(&around, key);
                }
                _ => complaint.report(&self.inner(&path), known, &elsewhere),
            }
            if !remove(&mut value, &path) {
                return None;
            }
            removed.push(path);
        }
    }

    /// The single value that is here.
    pub fn scalar(&self, value: &Value) -> Option<Scalar> {
        match value {
            Value::String(text) => Some(Scalar::Text(text.clone())),
            Value::Bool(value) => Some(Scalar::Bool(*value)),
            Value::Number(number) => Some(match number.as_i64() {
                Some(number) => Scalar::Integer(number),
                None => Scalar::Number(number.as_f64().unwrap_or(f64::NAN)),
            }),
            Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => {
                self.error(format!("expected a single value, found {}", what(value)));
                None
            }
        }
    }
}

type Error = serde_path_to_error::Error<serde_yaml::Error>;

/// A value in a few words.
pub fn what(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("`{value}`"),
        Value::Number(number) => format!("`{number}`"),
        Value::String(text) => format!("`{text}`"),
        Value::Sequence(_) => "a list".to_owned(),
        Value::Mapping(_) => "a mapping".to_owned(),
        Value::Tagged(_) => "a tag".to_owned(),
    }
}

/// The same without the value.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) | Value::Number(_) | Value::String(_) => "a single value",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a tag",
    }
}

/// Takes `keys` out of `mapping`.
pub fn split_off(mapping: &mut Mapping, keys: &[&str]) -> Mapping {
    keys.iter()
        .filter_map(|key| mapping.shift_remove_entry(*key))
        .collect()
}

/// `path` without `key` at its end, where serde puts it or not.
fn around<'p>(path: &'p str, key: &str) -> &'p str {
    match path.strip_suffix(key) {
        Some("") => "",
        Some(rest) => rest.strip_suffix('.').unwrap_or(path),
        None => path,
    }
}

fn inside(path: &str, key: &str) -> String {
    match path {
        "." | "" => key.to_owned(),
        _ => format!("{path}.{key}"),
    }
}

/// Takes the key at `path` out of `value`; of a list the whole, for without one item the others
/// would go by other numbers.
fn remove(value: &mut Value, path: &str) -> bool {
    let Value::Mapping(entries) = value else {
        return false;
    };
    // Keys may have dots in them, so the path is looked for as a key before it is taken apart.
    if entries.shift_remove(path).is_some() {
        return true;
    }
    if let Some((list, _)) = path.split_once('[') {
        return remove(value, list);
    }
    entries.iter_mut().any(|(key, inner)| {
        let rest = key.as_str().and_then(|key| path.strip_prefix(key));
        rest.and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|rest| remove(inner, rest))
    })
}

/// What serde says, taken apart. Its wording is the only interface there is: plugins bring
/// structs of their own.
enum Complaint {
    UnknownKey { key: String, known: Vec<String> },
    UnknownName { name: String, known: Vec<String> },
    Missing(String),
    Other(String),
}

impl Complaint {
    fn new(message: &str) -> Self {
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

    fn report(
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

/// `invalid type: string "x", expected u16` as "expected a whole number, found `x`".
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
