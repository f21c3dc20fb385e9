//! Variables of a container.

use super::value::texts;
use crate::config::report::At;
use crate::config::shape::kind;
use crate::config::variables::VariableSources;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

pub fn environment(
    at: &At<'_>,
    typed: Option<Value>,
    sources: &VariableSources,
) -> BTreeMap<String, String> {
    let pairs: Vec<(At<'_>, String, Option<String>)> = match typed {
        None => Vec::new(),
        Some(Value::Mapping(entries)) => entries
            .into_iter()
            .filter_map(|(key, value)| {
                let key = key.as_str()?.to_owned();
                let at = at.key(&key);
                if value.is_null() {
                    return Some((at, key, None));
                }
                let text = at.scalar(&value)?.to_string();
                // `1.10` is a version here, not the number 1.1.
                let text = at.text().map_or(text, str::to_owned);
                Some((at, key, Some(text)))
            })
            .collect(),
        Some(Value::Sequence(items)) => texts(at, items)
            .into_iter()
            .map(|(at, item)| match item.split_once('=') {
                Some((key, value)) => (at, key.to_owned(), Some(value.to_owned())),
                None => (at, item, None),
            })
            .collect(),
        Some(other) => {
            at.error_hint(
                // The value may be a secret, so the message leaves it out.
                format!("expected a mapping, found {}", kind(&other)),
                "write `environment: { KEY: value }`",
            );
            Vec::new()
        }
    };
    let of_sources = |key: &str| sources.lookup(key).filter(|value| !value.is_empty());
    let mut environment = BTreeMap::new();
    for (at, key, value) in pairs {
        if key.is_empty() || key.contains(['=', '\0']) || key.contains(char::is_whitespace) {
            // Behind a gap there may be a value.
            let name = match value {
                Some(_) => &key,
                None => key.split(char::is_whitespace).next().unwrap_or_default(),
            };
            at.error(format!("`{name}` cannot be the name of a variable"));
            continue;
        }
        let Some(value) = value.or_else(|| of_sources(&key)) else {
            at.error_hint(
                format!("`{key}` has no value here, nor in Tidegate's own environment"),
                format!("set `{key}` before Tidegate starts, or write a value (`\"\"` for none)"),
            );
            continue;
        };
        if value.contains('\0') {
            at.error(format!("the value of `{key}` has a NUL character in it"));
            continue;
        }
        match environment.entry(key) {
            Entry::Vacant(free) => {
                free.insert(value);
            }
            Entry::Occupied(taken) => at.error(format!("`{}` is given twice", taken.key())),
        }
    }
    environment
}
