//! Variables of a container.

use super::project::Project;
use super::variables;
use crate::cli::init::draft::DraftService;
use crate::cli::init::yaml::{flow, text_of};
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;

/// Sets `environment` from the key of this name and from `env_file`s that exist; the key wins.
pub fn environment(keys: &Mapping, project: &Project<'_>, service: &mut DraftService) {
    let mut files = Vec::new();
    match keys.get("env_file") {
        Some(Value::Sequence(several)) => files.extend(several),
        Some(one) => files.push(one),
        None => {}
    }
    let mut variables = BTreeMap::new();
    for file in files {
        let path = text_of(file.get("path").unwrap_or(file));
        match variables::of_file(&project.folder().join(&path)) {
            Ok(of_file) if !of_file.is_empty() => variables.extend(of_file),
            Ok(_) => service
                .remarks
                .push(format!("not translated: {path} is missing or empty")),
            Err(why) => service.remarks.push(format!("not translated: {why}")),
        }
    }
    if variables.is_empty() {
        if let Some(environment) = keys.get("environment") {
            service.set("environment", flow(environment), "");
        }
        return;
    }
    let mut all: Mapping = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    match keys.get("environment") {
        Some(Value::Mapping(own)) => all.extend(own.clone()),
        Some(Value::Sequence(own)) => all.extend(own.iter().map(text_of).map(|variable| {
            match variable.split_once('=') {
                Some((name, value)) => (name.into(), value.into()),
                // Without a value, the container gets Tidegate's own.
                None => (variable.into(), Value::Null),
            }
        })),
        _ => {}
    }
    service.set(
        "environment",
        flow(&Value::Mapping(all)),
        "in plain text; secrets belong under `secrets`",
    );
}

/// One variable under `environment`.
pub fn variable(keys: &Mapping, name: &str) -> Option<String> {
    match keys.get("environment")? {
        Value::Mapping(variables) => variables.get(name).map(text_of),
        Value::Sequence(variables) => variables.iter().find_map(|variable| {
            let variable = text_of(variable);
            let value = variable.strip_prefix(name)?.strip_prefix('=')?;
            Some(value.to_owned())
        }),
        _ => None,
    }
}
