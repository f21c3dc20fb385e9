//! Lists that may be written in several ways, as Compose has them.

use super::value::texts;
use crate::config::report::At;
use crate::config::shape::what;
use serde_yaml::Value;

/// A mapping, or a list of `KEY=VALUE`, each pair with its place.
pub fn pairs<'a>(at: &At<'a>, typed: Option<Value>) -> Vec<(At<'a>, String, String)> {
    match typed {
        None => Vec::new(),
        Some(Value::Mapping(entries)) => entries
            .into_iter()
            .filter_map(|(key, value)| {
                let key = key.as_str()?.to_owned();
                let at = at.key(&key);
                let text = match value {
                    Value::Null => String::new(),
                    value => {
                        let text = at.scalar(&value)?.to_string();
                        at.text().map_or(text, str::to_owned)
                    }
                };
                Some((at, key, text))
            })
            .collect(),
        Some(Value::Sequence(items)) => {
            let items = texts(at, items).into_iter();
            let pair = |(at, item): (At<'a>, String)| match item.split_once('=') {
                Some((key, value)) => (at, key.to_owned(), value.to_owned()),
                None => (at, item, String::new()),
            };
            items.map(pair).collect()
        }
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                "as in `{ KEY: value }`, or a list of `KEY=VALUE`",
            );
            Vec::new()
        }
    }
}

/// A list of texts, or one text.
pub fn one_or_more<'a>(at: &At<'a>, typed: Option<Value>) -> Vec<(At<'a>, String)> {
    match typed {
        None => Vec::new(),
        Some(Value::Sequence(items)) => texts(at, items),
        Some(one) => {
            let text = at.scalar(&one).map(|typed| typed.to_string());
            text.map(|text| (at.clone(), text)).into_iter().collect()
        }
    }
}
