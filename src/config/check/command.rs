//! Command lines.

use super::value::texts;
use crate::config::report::At;
use serde_yaml::Value;

/// A command line, as text that is split as in a shell, or as a list.
pub fn command_line(at: &At<'_>, typed: Option<Value>) -> Option<Vec<String>> {
    let words: Vec<String> = match typed? {
        Value::Sequence(items) => texts(at, items).into_iter().map(|(_, word)| word).collect(),
        Value::Mapping(_) => {
            at.error("expected text or a list, found a mapping");
            return None;
        }
        value => {
            let line = at.scalar(&value)?.to_string();
            match shell_words::split(&line) {
                Ok(words) => words,
                Err(_) => {
                    at.error_hint(
                        format!("a quote is opened and not closed in `{line}`"),
                        "close it, or write a list",
                    );
                    return None;
                }
            }
        }
    };
    if words.is_empty() {
        at.error_hint("is empty", "leave it out for the image's own");
        return None;
    }
    Some(words)
}
