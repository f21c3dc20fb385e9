//! Schemas of values, from their descriptions in the reference.

use serde_json::{Map, Value, json};

const DURATION: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*[a-zA-Zµ]+\s*)+$";
const SIZE: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT]i?)?[bB]?\s*$";

/// A reference to a variable somewhere in the text.
const VARIABLE: &str = r"\$[A-Za-z_{]";

/// Schema of a value, from its description in the reference. Text with a variable in it fits
/// wherever a single value does.
pub fn value(value: &str) -> Value {
    let mut schema = typed(value);
    match schema.get_mut("items") {
        Some(items) => *items = or_variable(items.take()),
        None => schema = or_variable(schema),
    }
    schema
}

fn or_variable(schema: Value) -> Value {
    let is_any_text = schema == json!({ "type": "string" }) || schema == any();
    let is_mapping = schema["type"] == "object";
    match is_any_text || is_mapping {
        true => schema,
        false => json!({ "anyOf": [schema, { "type": "string", "pattern": VARIABLE }] }),
    }
}

/// Text that may look like a number.
fn any() -> Value {
    json!({ "type": ["string", "integer"] })
}

fn typed(value: &str) -> Value {
    let text = json!({ "type": "string" });
    if let Some(items) = value.strip_prefix("list of ") {
        let items = match items.starts_with("addresses and networks") {
            false if items.starts_with("addresses") => {
                json!({ "type": "string", "pattern": ":[0-9]+$" })
            }
            _ => text,
        };
        return json!({ "type": "array", "items": items });
    }
    if value.starts_with("duration") {
        return json!({ "type": "string", "pattern": DURATION });
    }
    if value == "`true` or `false`" {
        return json!({ "type": "boolean" });
    }
    if let Some(choices) = choices(value) {
        return choices;
    }
    if value.starts_with(|c: char| c.is_ascii_digit())
        && let Some((low, high)) = value.split_once(" to ")
    {
        return range(low, high);
    }
    match value {
        "text or list" | "path or list" | "name, URL or list of them" | "`all`, number or list" => {
            json!({ "anyOf": [any(), { "type": "array" }] })
        }
        "mapping, or list of `KEY=VALUE`" | "list of `NAME:ADDRESS`, or mapping" => {
            json!({ "type": ["object", "array"] })
        }
        _ if value.starts_with("size") => size(),
        _ if value.starts_with("mapping") => json!({ "type": "object" }),
        _ => any(),
    }
}

/// Schema of alternatives such as "`a` or `b`" and "`a`, `b` or `{ c: NAME }`"; `None` for other
/// descriptions.
fn choices(value: &str) -> Option<Value> {
    let mut parts = value.split('`');
    let outside = parts.clone().step_by(2).map(str::trim);
    let only_joins = outside.clone().all(|text| ["", ",", "or"].contains(&text));
    parts.next();
    let examples: Vec<&str> = parts.step_by(2).collect();
    let are_choices = examples
        .iter()
        .all(|example| example.starts_with(|c: char| c.is_ascii_lowercase() || c == '{'));
    if !only_joins || !are_choices || examples.len() < 2 {
        return None;
    }
    let (mappings, words): (Vec<&str>, Vec<&str>) = examples
        .into_iter()
        .partition(|example| example.starts_with('{'));
    let words = json!({ "enum": words });
    if mappings.is_empty() {
        return Some(words);
    }
    let mappings = mappings.into_iter().filter_map(|example| {
        let example: Value = serde_yaml::from_str(example).ok()?;
        Some(like(&example))
    });
    let all: Vec<Value> = std::iter::once(words).chain(mappings).collect();
    Some(json!({ "anyOf": all }))
}

/// Schema of a mapping with the keys of an example; `NAME` in it stands for any text.
fn like(example: &Value) -> Value {
    match example {
        Value::Object(keys) => {
            let properties = keys.iter().map(|(key, value)| (key.clone(), like(value)));
            json!({
                "type": "object",
                "properties": properties.collect::<Map<String, Value>>(),
                "required": keys.keys().collect::<Vec<_>>(),
                "additionalProperties": false,
            })
        }
        Value::String(name) if name.chars().all(|c| c.is_ascii_uppercase()) => {
            json!({ "type": "string" })
        }
        other => json!({ "const": other }),
    }
}

fn range(low: &str, high: &str) -> Value {
    if high.ends_with('%') {
        return json!({ "type": ["string", "integer"], "pattern": r"^\s*[0-9.]+\s*%$" });
    }
    match (
        low.parse::<u64>(),
        high.parse::<u64>(),
        low.parse::<f64>(),
        high.parse::<f64>(),
    ) {
        (Ok(low), Ok(high), ..) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        (_, _, Ok(low), Ok(high)) => json!({ "type": "number", "minimum": low, "maximum": high }),
        _ => size(),
    }
}

fn size() -> Value {
    json!({ "type": ["string", "integer"], "pattern": SIZE })
}

/// Schema of `off`, which YAML 1.1 reads as false.
pub fn off() -> Value {
    json!({ "enum": ["off", false] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_values_are_understood() {
        let integer = json!({ "type": "integer", "minimum": 1, "maximum": 10 });
        assert_eq!(typed("1 to 10"), integer);
        let number = json!({ "type": "number", "minimum": 0.5, "maximum": 2.0 });
        assert_eq!(typed("0.5 to 2"), number);
        assert_eq!(
            typed("`a`, `b-c` or `d`"),
            json!({ "enum": ["a", "b-c", "d"] })
        );
        let either = value("`a`, `{ b: c }` or `{ b: { d: NAME } }`");
        let validator = jsonschema::draft202012::new(&either).expect("a schema");
        for (example, is_valid) in [
            (json!("a"), true),
            (json!({ "b": "c" }), true),
            (json!({ "b": { "d": "x-user" } }), true),
            (json!("b"), false),
            (json!({ "b": "e" }), false),
            (json!({}), false),
        ] {
            assert_eq!(validator.is_valid(&example), is_valid, "{example}");
        }
        assert_eq!(value("mapping of names to files")["type"], "object");
        assert_eq!(typed("1 KiB to 1 MiB"), size());
        assert_eq!(
            value("`name`, `1000` or `1000:1000`")["type"],
            json!(["string", "integer"])
        );
        assert_eq!(value("list of addresses")["type"], "array");
        assert_eq!(typed("duration, also `0s`")["pattern"], DURATION);
        for (described, example, is_valid) in [
            ("1 to 10", json!("${COUNT:-3}"), true),
            ("1 to 10", json!("three"), false),
            ("`true` or `false`", json!("$FLAG"), true),
            ("list of addresses", json!(["0.0.0.0:${PORT}"]), true),
            ("list of addresses", json!(["0.0.0.0"]), false),
            ("mapping", json!("$X"), false),
        ] {
            let validator = jsonschema::draft202012::new(&value(described)).expect("a schema");
            assert_eq!(
                validator.is_valid(&example),
                is_valid,
                "{described}: {example}"
            );
        }
    }
}
