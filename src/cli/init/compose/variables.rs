//! `${VARIABLES}` in a Compose file.

use serde_yaml::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Looks variables up in this process, then in the `.env` beside the Compose file.
pub fn lookup(folder: &Path) -> Result<impl Fn(&str) -> Option<String> + use<>, String> {
    let beside = of_file(&folder.join(".env"))?;
    Ok(move |name: &str| {
        let own = std::env::var(name).ok();
        own.or_else(|| beside.get(name).cloned())
    })
}

/// Variables of a `.env` file; none when there is no file.
pub fn of_file(file: &Path) -> Result<BTreeMap<String, String>, String> {
    let shown = file.display();
    match dotenvy::from_path_iter(file) {
        Ok(variables) => {
            let variables: Result<_, dotenvy::Error> = variables.collect();
            variables.map_err(|error| format!("{shown}: {error}"))
        }
        Err(error) if error.not_found() => Ok(BTreeMap::new()),
        Err(error) => Err(format!("cannot read {shown}: {error}")),
    }
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

fn filled(text: &str, env: &dyn Fn(&str) -> Option<String>, missing: &mut Vec<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let (inside, left) = match after.strip_prefix('{').and_then(|it| it.split_once('}')) {
            Some(braced) => braced,
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))
            }
        };
        rest = left;
        let end = inside.find([':', '-', '?', '+']).unwrap_or(inside.len());
        let (name, otherwise) = inside.split_at(end);
        let otherwise = otherwise.strip_prefix(':').unwrap_or(otherwise);
        match (env(name), otherwise.strip_prefix('-')) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => missing.push(name.to_owned()),
        }
    }
    out + rest
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
        ] {
            let mut value = Value::from(text);
            let missing = fill(&mut value, &env);
            assert_eq!(value.as_str(), Some(expected));
            assert_eq!(!missing.is_empty(), text.contains("NONE"), "{text}");
        }
    }
}
