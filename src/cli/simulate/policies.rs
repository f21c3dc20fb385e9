//! The policies that are compared: those of this build, and peers.

use crate::plugin::{Hooks, InstallError, Registry};
use crate::service::store;
use crate::simulate::peers::{Hpa, Knative};
use crate::simulate::{Model, Policy};
use serde_yaml::{Mapping, Value};
use std::sync::Arc;

const DEFAULT: [&str; 4] = ["concurrency", "requests", "knative", "hpa"];

/// HPA's target in percent; its own default is 80, 70 is what most people write.
const HPA_TARGET: f64 = 0.7;

pub fn all(
    own: Option<Policy>,
    asked: &[String],
    model: &Model,
    registry: &Registry,
) -> Result<Vec<Policy>, String> {
    let asked: Vec<&str> = match asked.is_empty() {
        true => DEFAULT.to_vec(),
        false => asked.iter().map(String::as_str).collect(),
    };
    let asked = asked.into_iter().map(|text| policy(text, model, registry));
    own.map(Ok).into_iter().chain(asked).collect()
}

fn policy(text: &str, model: &Model, registry: &Registry) -> Result<Policy, String> {
    let (name, values) = parse(text)
        .ok_or_else(|| format!("--policy {text:?}: expected a name, or `name: {{key: value}}`"))?;
    let scaler: Arc<dyn crate::plugin::Scaler> = match name.as_str() {
        "knative" | "hpa" if !values.is_empty() => {
            return Err(format!(
                "--policy {name} stands for its defaults and has no keys"
            ));
        }
        "knative" => Arc::new(Knative::new(model.slots)),
        "hpa" => Arc::new(Hpa {
            slots: model.slots,
            target: HPA_TARGET,
        }),
        _ => installed(&name, values, model, registry)?,
    };
    Ok(Policy {
        name: text.to_owned(),
        scaler,
    })
}

fn parse(text: &str) -> Option<(String, Mapping)> {
    match serde_yaml::from_str(text).ok()? {
        Value::String(name) => Some((name, Mapping::new())),
        Value::Mapping(mapping) if mapping.len() == 1 => match mapping.into_iter().next()? {
            (Value::String(name), Value::Mapping(values)) => Some((name, values)),
            (Value::String(name), Value::Null) => Some((name, Mapping::new())),
            _ => None,
        },
        _ => None,
    }
}

fn installed(
    name: &str,
    mut values: Mapping,
    model: &Model,
    registry: &Registry,
) -> Result<Arc<dyn crate::plugin::Scaler>, String> {
    let key = Value::from("target");
    if name == "concurrency" && !values.contains_key(&key) {
        // The capacity of a replica is known here.
        values.insert(key, Value::from(model.slots));
    }
    let mut hooks = Hooks::new(store::store().1);
    let unknown = || {
        let known = DEFAULT.join(", ");
        format!("--policy {name}: no such scaling policy; there are {known}")
    };
    match registry.install(name, Value::Mapping(values), &mut hooks) {
        Ok(()) => hooks.finish().scaler.ok_or_else(unknown),
        Err(InstallError::Unknown) => Err(unknown()),
        Err(InstallError::Values { path, message }) => {
            Err(format!("--policy {name}: {path}: {message}"))
        }
        Err(InstallError::Plugin(error)) => Err(format!("--policy {name}: {error}")),
    }
}
