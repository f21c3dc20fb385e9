//! The file as a JSON Schema, for editors: the keys are those of the structs in `raw`, what they
//! mean and may be is read in the reference, `conf/README.md`, so that the two are one.

use super::raw;
use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{self, Deserializer, Visitor};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const REFERENCE: &str = include_str!("../../conf/README.md");
/// Where editors and `$schema` lines find what this is.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const DURATION: &str = r"^\s*([0-9]+(\.[0-9]+)?\s*[a-zA-Zµ]+\s*)+$";
const SIZE: &str = r"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT]i?)?[bB]?\s*$";

/// The schema, with the names of the plugins that this build knows.
pub fn schema<'a>(plugins: impl Iterator<Item = &'a str>) -> Value {
    let plugins: Vec<&str> = plugins.collect();
    let reference = reference(REFERENCE);
    let words = Words {
        reference: &reference,
        plugins: &plugins,
    };
    let mut schema = words.object(FILE, "");
    schema["$schema"] = DIALECT.into();
    schema["title"] = "Tidegate".into();
    schema["description"] = "The configuration of Tidegate. `tidegate check` says more: what \
                             contradicts something else, and what a plugin makes of its keys."
        .into();
    schema
}

/// A part of the file, with the parts in it.
struct Part {
    keys: fn() -> &'static [&'static str],
    inside: &'static [(&'static str, Inside)],
    /// Other keys belong to a plugin.
    is_open: bool,
}

enum Inside {
    One(&'static Part),
    OrOff(&'static Part),
    List(&'static Part),
    Named(&'static Part),
    Plugins,
}

const fn part(keys: fn() -> &'static [&'static str]) -> Part {
    Part {
        keys,
        inside: &[],
        is_open: false,
    }
}

const FILE: &Part = &Part {
    inside: &[
        ("admin", Inside::OrOff(&part(keys::<raw::Admin>))),
        ("timeouts", Inside::One(&part(keys::<raw::Timeouts>))),
        ("limits", Inside::One(&part(keys::<raw::Limits>))),
        ("services", Inside::Named(SERVICE)),
        ("plugins", Inside::Plugins),
    ],
    ..part(keys::<raw::File>)
};

const SERVICE: &Part = &Part {
    inside: &[
        ("routes", Inside::List(&part(keys::<raw::Route>))),
        ("healthcheck", Inside::One(HEALTH)),
        ("scale", Inside::One(SCALE)),
        (
            "update_config",
            Inside::One(&part(keys::<raw::UpdateConfig>)),
        ),
        ("hold", Inside::One(&part(keys::<raw::Hold>))),
        ("retries", Inside::One(&part(keys::<raw::Retries>))),
        (
            "outlier_detection",
            Inside::OrOff(&part(keys::<raw::OutlierDetection>)),
        ),
        ("plugins", Inside::Plugins),
    ],
    ..part(keys::<raw::Service>)
};

const HEALTH: &Part = &Part {
    is_open: true,
    ..part(keys::<raw::Health>)
};

const SCALE: &Part = &Part {
    inside: &[("policies", Inside::Plugins)],
    is_open: true,
    ..part(keys::<raw::Scale>)
};

/// A row of the reference.
struct Entry {
    value: String,
    default: String,
    what: String,
}

struct Words<'a> {
    reference: &'a BTreeMap<String, Entry>,
    plugins: &'a [&'a str],
}

impl Words<'_> {
    /// `path` ends with a dot, or is empty at the top.
    fn object(&self, part: &Part, path: &str) -> Value {
        let properties = (part.keys)().iter().map(|key| {
            let inner = format!("{path}{key}");
            let inside = part.inside.iter().find(|(name, _)| name == key);
            let mut schema = match inside {
                Some((_, inside)) => self.inside(inside, &inner),
                None => self.value(&inner),
            };
            // A key with nothing behind it is a key that was left out.
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
            if let Some(entry) = self.reference.get(&inner) {
                schema["description"] = entry.described().into();
            }
            ((*key).to_owned(), schema)
        });
        let properties: Map<String, Value> = properties.collect();
        json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": part.is_open,
        })
    }

    fn inside(&self, inside: &Inside, path: &str) -> Value {
        let below = format!("{path}.");
        match inside {
            Inside::One(part) => self.object(part, &below),
            Inside::OrOff(part) => json!({ "anyOf": [self.object(part, &below), off()] }),
            Inside::List(part) => json!({ "type": "array", "items": self.object(part, &below) }),
            Inside::Named(part) => json!({
                "type": "object",
                "propertyNames": { "pattern": "^[a-z0-9-]{1,40}$" },
                "additionalProperties": self.object(part, &below),
            }),
            Inside::Plugins => {
                let named: Map<String, Value> = self
                    .plugins
                    .iter()
                    .map(|name| ((*name).to_owned(), json!({})))
                    .collect();
                json!({
                    "type": "array",
                    "items": { "anyOf": [
                        { "enum": self.plugins },
                        {
                            "type": "object",
                            "properties": named,
                            "additionalProperties": false,
                            "minProperties": 1,
                            "maxProperties": 1,
                        },
                    ] },
                })
            }
        }
    }

    fn value(&self, path: &str) -> Value {
        let entry = self.reference.get(path);
        entry.map_or(json!({}), |entry| entry.schema())
    }
}

impl Entry {
    fn described(&self) -> String {
        let default = match self.default.as_str() {
            "" => String::new(),
            default => format!("\n\nDefault: {default}"),
        };
        format!("{}\n\n{}{default}", self.what, self.value)
    }

    /// What the reference's words for a value mean.
    fn schema(&self) -> Value {
        let text = json!({ "type": "string" });
        let value = self.value.as_str();
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
            "text or list" => json!({ "anyOf": [text, { "type": "array" }] }),
            "mapping, or list of `KEY=VALUE`" => json!({ "type": ["object", "array"] }),
            _ if value.starts_with("size") => size(),
            _ if value.starts_with("mapping") => json!({ "type": "object" }),
            // Names may look like numbers.
            _ => json!({ "type": ["string", "integer"] }),
        }
    }
}

/// Of "`a` or `b`", "`a`, `b` or `{ c: NAME }`" and the like.
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

/// YAML 1.1 reads `off` as false.
fn off() -> Value {
    json!({ "enum": ["off", false] })
}

/// The rows of the reference by the path of their key, as in `services.scale.min`.
fn reference(text: &str) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut prefix = None;
    for line in text.lines() {
        if let Some(heading) = line
            .trim_start_matches('#')
            .strip_prefix(' ')
            .filter(|_| line.starts_with("##"))
        {
            let heading = heading.trim_matches('`');
            let inside = (SERVICE.keys)().contains(&heading) && line.starts_with("###");
            prefix = match heading {
                "At the top" => Some(String::new()),
                "A service" => Some("services.".to_owned()),
                part if inside => Some(format!("services.{part}.")),
                _ => None,
            };
            continue;
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (Some(prefix), [_, keys, value, default, what, _]) = (&prefix, cells.as_slice()) else {
            continue;
        };
        for key in keys.split('`').skip(1).step_by(2) {
            let entry = Entry {
                value: (*value).to_owned(),
                default: (*default).to_owned(),
                what: (*what).to_owned(),
            };
            found.insert(format!("{prefix}{key}"), entry);
        }
    }
    found
}

/// The keys that a struct is read from, as serde knows them.
fn keys<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut keys: &'static [&'static str] = &[];
    // It fails on purpose: once the keys are known, nothing more is wanted.
    let _ = T::deserialize(Ask(&mut keys));
    keys
}

struct Ask<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Ask<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(de::Error::custom("the keys are known"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every key of the structs by its path, parts that have a table of their own included.
    fn paths(part: &Part, path: &str, found: &mut BTreeSet<String>) {
        for key in (part.keys)() {
            let inner = format!("{path}{key}");
            match part.inside.iter().find(|(name, _)| name == key) {
                Some((_, Inside::One(part) | Inside::OrOff(part) | Inside::List(part)))
                | Some((_, Inside::Named(part))) => paths(part, &format!("{inner}."), found),
                Some((_, Inside::Plugins)) | None => drop(found.insert(inner)),
            }
        }
    }

    #[test]
    fn the_reference_has_every_key_and_no_other() {
        let mut there = BTreeSet::new();
        paths(FILE, "", &mut there);
        let told = reference(REFERENCE);
        for key in &there {
            // Its row says what is inside.
            if key != "admin.listen" {
                assert!(
                    told.contains_key(key),
                    "conf/README.md: add a row for `{key}`"
                );
            }
        }
        let parts = [
            "admin",
            "services",
            "services.routes",
            "services.healthcheck",
            "services.scale",
            "services.update_config",
            "services.outlier_detection",
        ];
        for key in told.keys() {
            let known = there.contains(key) || parts.contains(&key.as_str());
            assert!(known, "conf/README.md: there is no key `{key}`");
        }
    }

    #[test]
    fn words_for_values_are_understood() {
        let schema = |value: &str| {
            let entry = Entry {
                value: value.to_owned(),
                default: String::new(),
                what: String::new(),
            };
            entry.schema()
        };
        let integer = json!({ "type": "integer", "minimum": 1, "maximum": 10 });
        assert_eq!(schema("1 to 10"), integer);
        let number = json!({ "type": "number", "minimum": 0.5, "maximum": 2.0 });
        assert_eq!(schema("0.5 to 2"), number);
        assert_eq!(
            schema("`a`, `b-c` or `d`"),
            json!({ "enum": ["a", "b-c", "d"] })
        );
        let either = schema("`a`, `{ b: c }` or `{ b: { d: NAME } }`");
        let validator = jsonschema::draft202012::new(&either).expect("a schema");
        for (value, is_valid) in [
            (json!("a"), true),
            (json!({ "b": "c" }), true),
            (json!({ "b": { "d": "x-user" } }), true),
            (json!("b"), false),
            (json!({ "b": "e" }), false),
            (json!({}), false),
        ] {
            assert_eq!(validator.is_valid(&value), is_valid, "{value}");
        }
        assert_eq!(schema("mapping of names to files")["type"], "object");
        assert_eq!(schema("1 KiB to 1 MiB"), size());
        assert_eq!(
            schema("`name`, `1000` or `1000:1000`")["type"],
            json!(["string", "integer"])
        );
        assert_eq!(schema("list of addresses")["type"], "array");
        assert_eq!(schema("duration, also `0s`")["pattern"], DURATION);
    }
}
