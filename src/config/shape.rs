//! Values into structs, and every misfit on the way as a problem.

use super::complaint::Complaint;
use super::keys::keys_of;
use super::report::At;
use super::scalar::Scalar;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

/// A part of the file that is read as a whole: the keys that a user may write, and nothing about
/// their values.
///
/// Every scalar is a [`Scalar`] and every list holds plain values: what they may be is said once,
/// where they are checked, in words of this product instead of serde's.
pub trait Shape: for<'de> Deserialize<'de> + Default {
    /// For keys that are unknown here and known elsewhere: what to do instead.
    fn elsewhere(_key: &str) -> Option<&'static str> {
        None
    }
}

/// Why a value does not fit a struct: where inside of it, and serde's words.
pub struct Misfit {
    pub path: String,
    pub message: String,
}

impl At<'_> {
    /// Reads the part of the file that is here. What does not fit is reported and left out, so
    /// that the rest can still be checked.
    pub fn shape<T: Shape>(&self, value: Value) -> T {
        self.shape_beside(value, &[])
    }

    /// The same for a part of which the keys `known` were taken out.
    pub fn shape_beside<T: Shape>(&self, value: Value, known: &[&str]) -> T {
        let read = |value: &Value| {
            serde_path_to_error::deserialize(value.clone()).map_err(|error: Error| Misfit {
                path: error.path().to_string(),
                message: error.inner().to_string(),
            })
        };
        self.fit(value, known, T::elsewhere, read)
            .unwrap_or_default()
    }

    /// Reads the keys of `T` that are here, and takes them out of `mapping`. The path is that of
    /// the mapping: these keys stand beside others.
    pub fn part<T: Shape>(&self, mapping: &mut Mapping) -> T {
        let own = split_off(mapping, keys_of::<T>());
        self.shape(Value::Mapping(own))
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
fn split_off(mapping: &mut Mapping, keys: &[&str]) -> Mapping {
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
