//! The file as a JSON Schema, for editors.
//!
//! The keys come from the structs that the file is read into, their values and descriptions from
//! the reference for users. So the three cannot disagree.

use super::parts::{FILE, FilePart, Inside};
use super::reference::{Row, reference};
use super::value::{off, value};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Dialect of the schema, for editors.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The JSON Schema of the file, with the names of this build's plugins.
pub fn schema<'a>(plugins: impl Iterator<Item = &'a str>) -> Value {
    let plugins: Vec<&str> = plugins.collect();
    let reference = reference();
    let words = Words {
        reference: &reference,
        plugins: &plugins,
    };
    let mut schema = words.object(FILE, "");
    schema["$schema"] = DIALECT.into();
    schema["title"] = "Tidegate".into();
    schema["description"] =
        "The configuration of Tidegate. `tidegate check` finds more: keys that \
                             contradict each other, and wrong keys of plugins."
            .into();
    schema
}

struct Words<'a> {
    reference: &'a BTreeMap<String, Row>,
    plugins: &'a [&'a str],
}

impl Words<'_> {
    /// Schema of a part; `path` ends with a dot, or is empty at the top.
    fn object(&self, part: &FilePart, path: &str) -> Value {
        let properties = part.keys().map(|key| {
            let inner = format!("{path}{key}");
            let mut schema = match part.inside(key) {
                Some(inside) => self.inside(inside, &inner),
                None => self.value(&inner),
            };
            // A key with nothing behind it is a key that was left out.
            schema = json!({ "anyOf": [schema, { "type": "null" }] });
            if let Some(entry) = self.reference.get(&inner) {
                schema["description"] = entry.described().into();
            }
            (key.to_owned(), schema)
        });
        let properties: Map<String, Value> = properties.collect();
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": part.is_open,
        });
        if part.has_extensions {
            // Not every editor resolves `<<` before it looks.
            schema["patternProperties"] = json!({ "^(x-.*|<<)$": {} });
        }
        schema
    }

    fn inside(&self, inside: &Inside, path: &str) -> Value {
        let below = format!("{path}.");
        match inside {
            Inside::One(part) => self.object(part, &below),
            Inside::OrOff(part) => json!({ "anyOf": [self.object(part, &below), off()] }),
            Inside::OneOrList(part) => {
                let one = self.object(part, &below);
                json!({ "anyOf": [one, { "type": "array", "items": one }] })
            }
            Inside::OrTrue(part) => {
                json!({ "anyOf": [self.object(part, &below), { "type": "boolean" }] })
            }
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
        entry.map_or(json!({}), |entry| value(&entry.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every key of the structs by its path, parts that have a table of their own included.
    fn paths(part: &FilePart, path: &str, found: &mut BTreeSet<String>) {
        for key in part.keys() {
            let inner = format!("{path}{key}");
            match part.inside(key) {
                Some(Inside::One(part) | Inside::OrOff(part) | Inside::List(part))
                | Some(Inside::OneOrList(part) | Inside::OrTrue(part) | Inside::Named(part)) => {
                    paths(part, &format!("{inner}."), found)
                }
                Some(Inside::Plugins) | None => drop(found.insert(inner)),
            }
        }
    }

    #[test]
    fn keys_of_the_users_own_are_allowed_at_the_top_and_on_a_service() {
        let schema = schema(std::iter::empty());
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        for (file, is_valid) in [
            (
                json!({ "x-a": 1, "services": { "web": { "x-b": [] } } }),
                true,
            ),
            (json!({ "y-a": 1 }), false),
            (json!({ "timeouts": { "x-a": 1 } }), false),
        ] {
            assert_eq!(validator.is_valid(&file), is_valid, "{file}");
        }
    }

    #[test]
    fn the_reference_has_every_key_and_no_other() {
        let mut there = BTreeSet::new();
        paths(FILE, "", &mut there);
        let told = reference();
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
            "tls",
            "tls.certificates",
            "tls.challenge_ports",
            "tls.client_auth",
            "tls.eab",
            "tls.hsts",
            "tls.on_demand",
            "services",
            "services.routes",
            "services.healthcheck",
            "services.scale",
            "services.update_config",
            "services.outlier_detection",
            "services.upstream_tls",
        ];
        for key in told.keys() {
            let known = there.contains(key) || parts.contains(&key.as_str());
            assert!(known, "conf/README.md: there is no key `{key}`");
        }
    }
}
