//! Files of variables for a container.

use super::value::boolean;
use crate::config::env_file::{EnvFile, parse};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::config::text::{read, reason_unreadable};
use crate::config::variables::VariableSources;
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;

/// One file, as a mapping.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvFileKeys {
    pub path: Option<Scalar>,
    pub required: Option<Scalar>,
}

impl Shape for EnvFileKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        (key == "format").then_some("leave it out: single quotes keep a value as it stands")
    }
}

/// Variables of all files; a later file wins.
pub fn env_file(
    at: &At<'_>,
    typed: Option<Value>,
    sources: &VariableSources,
) -> BTreeMap<String, String> {
    let files = match typed {
        None => Vec::new(),
        Some(Value::Sequence(items)) => {
            let items = items.into_iter().enumerate();
            items.map(|(index, item)| (at.index(index), item)).collect()
        }
        Some(one) => vec![(at.clone(), one)],
    };
    let mut variables = BTreeMap::new();
    for (at, typed) in files {
        let Some(file) = one_file(&at, typed, sources) else {
            continue;
        };
        let values = file.values.into_iter();
        variables.extend(values.map(|(name, variable)| (name, variable.value)));
    }
    variables
}

/// Content of one file; `None` after a problem, and for one that may be missing and is.
fn one_file(at: &At<'_>, typed: Value, sources: &VariableSources) -> Option<EnvFile> {
    let in_required = at.key("required");
    let (at, keys) = match typed {
        Value::Mapping(_) => {
            let keys: EnvFileKeys = at.shape(typed);
            if keys.path.is_none() {
                at.error_hint("`path` is missing", "as in `{ path: app.env }`");
            }
            (at.key("path"), keys)
        }
        one => {
            let path = at.scalar(&one);
            let required = None;
            (at.clone(), EnvFileKeys { path, required })
        }
    };
    let is_required = match &keys.required {
        None => true,
        Some(typed) => in_required.accept(boolean(typed))?,
    };
    let path = at.folder().join(keys.path?.to_string());
    let shown = path.display().to_string();
    let text = match read(&path) {
        Ok(text) => text.content,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if is_required {
                let hint = "write `{ path: FILE, required: false }` for one that may be missing";
                at.error_hint(format!("there is no file `{shown}`"), hint);
            }
            return None;
        }
        Err(error) => {
            let why = reason_unreadable(&error);
            at.error(format!("cannot read `{shown}`: {why}"));
            return None;
        }
    };
    let file = parse(&text, &|name| sources.lookup(name));
    at.line_errors(&shown, &file.errors);
    Some(file)
}
