//! The result of reading labels.

use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;

/// A label's name and value.
pub type Label = (String, String);

/// Keys of one service, as labels have them.
#[derive(Default, Debug)]
pub struct Translation {
    /// As below the service's name in a file.
    pub keys: Mapping,
    /// Labels by the path of the key that they set.
    places: BTreeMap<String, String>,
    /// Name that the service is to have.
    pub service: Option<String>,
    /// Network by which clients come in, as Docker names it.
    pub network: Option<String>,
    /// Label that switches the service on or off, and which.
    pub enabled: Option<(String, bool)>,
    /// Whether any rule says which requests are meant, translated or not.
    pub has_rules: bool,
    /// Labels of Traefik's routers about TLS, from behind `tls`; the keys of a service have none.
    pub tls: Vec<Label>,
    /// Labels that are not translated, and advice.
    pub remarks: Vec<String>,
}

impl Translation {
    /// The value at a path such as `healthcheck.path`.
    pub fn get(&self, path: &str) -> Option<&Value> {
        let mut keys = path.split('.');
        let first = self.keys.get(keys.next()?)?;
        keys.try_fold(first, |value, key| value.get(key))
    }

    /// Sets the value at a path of one or two keys, for which `label` stands in messages.
    pub fn set(&mut self, path: &str, value: impl Into<Value>, label: &str) {
        let value = value.into();
        match path.split_once('.') {
            None => drop(self.keys.insert(path.into(), value)),
            Some((outer, inner)) => {
                let outer = self.keys.entry(outer.into());
                let outer = outer.or_insert_with(|| Mapping::new().into());
                if let Value::Mapping(keys) = outer {
                    keys.insert(inner.into(), value);
                }
            }
        }
        self.places.insert(path.to_owned(), label.to_owned());
    }

    /// The label that set the key at `path`, or the closest one around it.
    pub fn label_of(&self, path: &str) -> Option<&str> {
        let mut path = path;
        loop {
            if let Some(label) = self.places.get(path) {
                return Some(label);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// Label that excludes the container.
    pub fn disabled_by(&self) -> Option<&str> {
        let (label, enabled) = self.enabled.as_ref()?;
        (!enabled).then_some(label)
    }

    /// Both together; where both set a key, this one wins.
    pub fn over(mut self, other: Translation) -> Translation {
        for (key, value) in other.keys {
            self.keys.entry(key).or_insert(value);
        }
        for (path, label) in other.places {
            let first = path.split('.').next().unwrap_or_default();
            if !self
                .places
                .keys()
                .any(|own| own.split('.').next() == Some(first))
            {
                self.places.insert(path, label);
            }
        }
        self.service = self.service.or(other.service);
        self.network = self.network.or(other.network);
        self.enabled = self.enabled.or(other.enabled);
        self.has_rules |= other.has_rules;
        self.tls.extend(other.tls);
        self.remarks.extend(other.remarks);
        self
    }
}
