//! Labels of a Compose service.

use crate::cli::init::yaml::text_of;
use crate::labels::Label;
use serde_yaml::{Mapping, Value};

/// Labels of the containers, and those that a swarm would give to the service.
pub fn labels(keys: &Mapping) -> Vec<Label> {
    let of_swarm = keys.get("deploy").and_then(|deploy| deploy.get("labels"));
    let mut pairs = Vec::new();
    for labels in keys.get("labels").into_iter().chain(of_swarm) {
        match labels {
            Value::Mapping(labels) => {
                let labels = labels.iter();
                pairs.extend(labels.map(|(key, value)| (text_of(key), text_of(value))));
            }
            Value::Sequence(labels) => {
                let labels = labels.iter().map(text_of);
                pairs.extend(labels.map(|label| match label.split_once('=') {
                    Some((key, value)) => (key.to_owned(), value.to_owned()),
                    None => (label, String::new()),
                }));
            }
            _ => {}
        }
    }
    pairs
}
