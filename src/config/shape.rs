//! Reading values into structs, with every misfit as a problem.

use super::complaint::Complaint;
use super::keys::keys_of;
use super::report::At;
use super::scalar::Scalar;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

/// A part of the file that is read as a whole: the keys that a user may write, and nothing about
/// their values.
///
/// Scalars are [`Scalar`]s and lists hold plain values: their checks are elsewhere, with messages in
/// words of this product instead of serde's.
pub trait Shape: for<'de> Deserialize<'de> + Default {
    /// Hint for a key that is unknown here and known elsewhere.
    fn elsewhere(_key: &str) -> Option<&'static str> {
        None
    }
}

/// A value that does not fit a struct: the path inside of it, and serde's message.
pub struct Misfit {
    pub path: String,
    pub message: String,
}

impl At<'_> {
    /// Reads the part of the file that is here. Misfits are reported and left out, so that the rest
    /// can still be checked.
    pub fn shape<T: Shape>(&self, value: Value) -> T {
        self.shape_beside(value, &[])
    }

    /// Reads a part of which the keys `known` were taken out; hints list them as well.
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

    /// Takes the keys of `T` out of `mapping` and reads them. Their path is that of the mapping.
    pub fn part<T: Shape>(&self, mapping: &mut Mapping) -> T {
        let own = split_off(mapping, keys_of::<T>());
        self.shape(Value::Mapping(own))
    }

    /// Tries `read`, reports a misfit, takes it out and tries again; `None` when it cannot be taken
    /// out. `known` are keys that were taken out before.
    pub fn fit<T>(
        &self,
        mut value: Value,
        known: &[&str],
        elsewhere: impl Fn(&str) -> Option<&'static str>,
        mut read: impl FnMut(&Value) -> Result<T, Misfit>,
    ) -> Option<T> {
        let mut removed: Vec<String> = Vec::new();
        let mut recasts: Vec<String> = Vec::new();
        loop {
            let misfit = match read(&value) {
                Ok(read) => return Some(read),
                Err(misfit) => misfit,
            };
            let complaint = Complaint::new(&misfit.message);
            let mut path = misfit.path;
            let place = self.inner(&path);
            if place.has_variable()
                && !recasts.contains(&path)
                && find(&mut value, &path).is_some_and(|value| recast(value, place.text()))
            {
                recasts.push(path);
                continue;
            }
            match &complaint {
                // Present but wrong, and reported already.
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

    /// Single value that is here.
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

/// Description of a value, with the value.
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

/// Description of a value without the value.
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

/// The path without `key` at its end, if it is there.
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

/// Turns text into a number or a truth value, or back: a variable has no type of its own, and its
/// place decides.
fn recast(value: &mut Value, typed: Option<&str>) -> bool {
    let other = match (&*value, typed) {
        (Value::String(text), _) => {
            let truth = || text.parse().ok().map(Value::Bool);
            let whole = || text.parse::<i64>().ok().map(Value::from);
            let number = || text.parse::<f64>().ok().map(Value::from);
            truth().or_else(whole).or_else(number)
        }
        (Value::Number(_) | Value::Bool(_), Some(typed)) => Some(typed.into()),
        _ => None,
    };
    let Some(other) = other else { return false };
    *value = other;
    true
}

/// Value at `path`, as in `a.b[0]`.
fn find<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut Value> {
    match value {
        value if path.is_empty() => Some(value),
        Value::Sequence(items) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            let item = items.get_mut(index.parse::<usize>().ok()?)?;
            find(item, rest.strip_prefix('.').unwrap_or(rest))
        }
        Value::Mapping(entries) => {
            // Keys may have dots in them.
            if entries.contains_key(path) {
                return entries.get_mut(path);
            }
            entries.iter_mut().find_map(|(key, inner)| {
                let rest = path.strip_prefix(key.as_str()?)?;
                match rest.strip_prefix('.') {
                    Some(rest) => find(inner, rest),
                    None if rest.starts_with('[') => find(inner, rest),
                    None => None,
                }
            })
        }
        _ => None,
    }
}

/// Takes the key at `path` out of `value`. A list is taken out whole, because the indices of its
/// other items would change.
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
