//! Values of YAML as text.

use super::draft::quoted;
use serde_yaml::{Mapping, Value};

/// Items of the list under `name`; none when it is no list.
pub fn items<'a>(keys: &'a Mapping, name: &str) -> impl Iterator<Item = &'a Value> {
    let items = keys.get(name).and_then(Value::as_sequence);
    items.into_iter().flatten()
}

/// Names in a list, or the keys of a mapping.
pub fn names_of(value: &Value) -> Vec<String> {
    match value {
        Value::Mapping(named) => named.keys().map(text_of).collect(),
        Value::Sequence(names) => names.iter().map(text_of).collect(),
        _ => Vec::new(),
    }
}

/// A value in one line; JSON is YAML.
pub fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Sequence(_) | Value::Mapping(_) => serde_json::to_string(value).unwrap_or_default(),
        other => text_of(other),
    }
}

/// A scalar as text; empty for anything else.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Lists and mappings in one line, as a person writes them.
pub fn inline(value: &Value) -> String {
    match value {
        Value::Sequence(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Mapping(keys) => {
            let pair = |(key, value)| format!("{}: {}", inline(key), inline(value));
            let keys: Vec<String> = keys.iter().map(pair).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        other => flow(other),
    }
}
