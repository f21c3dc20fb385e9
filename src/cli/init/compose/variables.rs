//! `${VARIABLES}` in a Compose file.

use crate::cli::output::complain;
use crate::config::{self, FillError};
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

/// Looks variables up in this process, then in the `.env` beside the Compose file.
pub fn lookup(folder: &Path) -> Result<impl Fn(&str) -> Option<String> + use<>, String> {
    let beside = of_file(&folder.join(".env"))?;
    Ok(move |name: &str| {
        let own = std::env::var(name).ok();
        own.or_else(|| beside.get(name).cloned())
    })
}

/// Variables of a `.env` file; none when there is no file. A bad line is named, and loses only
/// itself.
pub fn of_file(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let shown = file.display();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(format!("cannot read {shown}: {error}")),
    };
    let read = config::parse_env_file(&text, &|name| std::env::var(name).ok());
    for error in &read.errors {
        let line = error.line.unwrap_or(1);
        complain(format_args!("{shown}:{line}: {}; left out", error.message));
    }
    let values = read.values.into_iter();
    Ok(values.map(|(name, it)| (name, it.value)).collect())
}

/// Replaces variables by their values; returns those that have none.
pub fn fill(value: &mut Value, env: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let mut missing = Vec::new();
    fill_in(value, env, &mut missing);
    missing.sort();
    missing.dedup();
    missing
}

fn fill_in(value: &mut Value, env: &dyn Fn(&str) -> Option<String>, missing: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains('$') => *text = filled(text, env, missing),
        Value::Sequence(items) => items
            .iter_mut()
            .for_each(|item| fill_in(item, env, missing)),
        Value::Mapping(pairs) => pairs
            .iter_mut()
            .for_each(|(_, value)| fill_in(value, env, missing)),
        _ => {}
    }
}

/// As Compose does, a variable that is not set becomes nothing.
fn filled(text: &str, env: &dyn Fn(&str) -> Option<String>, missing: &mut Vec<String>) -> String {
    let mut blank: Vec<String> = Vec::new();
    loop {
        let lookup = |name: &str| {
            let is_blank = blank.iter().any(|other| other == name);
            env(name).or_else(|| is_blank.then(String::new))
        };
        match config::fill_in(text, &lookup) {
            Ok(filled) => return filled,
            Err(FillError::Unset(name)) => {
                missing.push(name.clone());
                blank.push(name);
            }
            Err(error) => {
                if let FillError::Required { name, .. } = error {
                    missing.push(name);
                }
                return text.to_owned();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_as_compose_fills_them() {
        let env = |name: &str| (name == "TAG").then(|| "2".to_owned());
        for (text, expected) in [
            ("web:${TAG}", "web:2"),
            ("web:$TAG-x", "web:2-x"),
            ("${PORT:-80}:${PORT-81}", "80:81"),
            ("$$TAG costs $$1", "$TAG costs $1"),
            ("<${NONE}>", "<>"),
            ("${PORT:-${TAG}}", "2"),
            ("${TAG:+a}${PORT:+b}", "a"),
        ] {
            let mut value = Value::from(text);
            let missing = fill(&mut value, &env);
            assert_eq!(value.as_str(), Some(expected));
            assert_eq!(!missing.is_empty(), text.contains("NONE"), "{text}");
        }
        let mut value = Value::from("${NAME:?who}");
        assert_eq!(fill(&mut value, &env), ["NAME"]);
    }

    #[test]
    fn a_bad_line_of_a_file_loses_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        assert_eq!(of_file(&file), Ok(BTreeMap::new()));
        std::fs::write(&file, "A=1\nnot a variable\nB=\"x\\n\"\n").unwrap();
        let values = of_file(&file).unwrap();
        assert_eq!(values["A"], "1");
        assert_eq!(values["B"], "x\n");
        assert_eq!(values.len(), 2);
    }
}
