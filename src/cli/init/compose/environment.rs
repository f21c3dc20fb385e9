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

/// Variables under `environment` that have a value.
pub fn variables_of(keys: &Mapping) -> Vec<(String, String)> {
    match keys.get("environment") {
        Some(Value::Mapping(variables)) => {
            let variables = variables.iter();
            let variables = variables.map(|(name, value)| (text_of(name), text_of(value)));
            variables.collect()
        }
        Some(Value::Sequence(variables)) => {
            let variables = variables.iter().map(text_of);
            let pairs = variables.filter_map(|variable| {
                let (name, value) = variable.split_once('=')?;
                Some((name.to_owned(), value.to_owned()))
            });
            pairs.collect()
        }
        _ => Vec::new(),
    }
}

/// One variable under `environment`.
pub fn variable(keys: &Mapping, name: &str) -> Option<String> {
    let mut variables = variables_of(keys).into_iter();
    variables.find_map(|(own, value)| (own == name).then_some(value))
}
