//! The template of a service's containers.

use super::environment::Environment;
use super::image::ImageId;
use super::name::SpecHash;
use super::settings::ContainerSettings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everything that a container is created from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    pub image: String,
    /// Identity of the image when it was deployed, so that a tag that moves later changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// Port inside the container.
    pub port: u16,
    /// First host port on 127.0.0.1. Not a part of the hash: a place, not a property of a container.
    #[serde(skip)]
    pub first_port: u16,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub environment: Environment,
    /// Variables whose values came from files; they are never written to a label.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// As Docker's binds: `name:/path`, `/host/path:/path`, each with an optional `:ro`.
    pub volumes: Vec<String>,
    /// Networks to join instead of the default bridge; replicas are reached on the first.
    pub networks: Vec<String>,
    pub user: Option<String>,
    /// In billionths of a core, as Docker's `NanoCpus`.
    pub nano_cpus: Option<i64>,
    pub memory_bytes: Option<i64>,
    #[serde(default, skip_serializing_if = "ContainerSettings::is_default")]
    pub settings: ContainerSettings,
}

/// The last host port.
pub const LAST_PORT: u16 = u16::MAX;

impl Template {
    /// The template as JSON, from which the hash is computed.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a template is plain data")
    }

    /// JSON for a label, without the values of secrets, because monitoring copies labels.
    pub fn to_label(&self) -> String {
        let mut shown = self.clone();
        shown
            .environment
            .retain(|name, _| !self.secrets.contains(name));
        shown.to_json()
    }

    /// The template of a label, with the values of secrets from `declared`; `None` if one is
    /// missing there.
    pub fn from_label(label: &str, declared: &Template) -> Option<Template> {
        let mut template: Template = serde_json::from_str(label).ok()?;
        for name in &template.secrets {
            let value = declared.environment.get(name)?;
            template.environment.insert(name.clone(), value.clone());
        }
        Some(template)
    }

    /// Hash of the content, the same in every process and release.
    pub fn hash(&self) -> SpecHash {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(self.to_json());
        let hex: String = digest[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        SpecHash::new(hex)
    }
}
