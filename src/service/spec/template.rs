//! The template of a service's containers.

use super::environment::Environment;
use super::image::ImageId;
use super::name::SpecHash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Everything that a container is made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    pub image: String,
    /// What the image's name stood for when it was deployed, so that a tag that moves later
    /// changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<ImageId>,
    /// The port that the program listens on inside the container.
    pub port: u16,
    /// Host ports 127.0.0.1:`first_port`, + 1, … Where a replica sits, not what it is made from.
    #[serde(skip)]
    pub first_port: u16,
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub environment: Environment,
    /// Variables whose values came from files, and stand nowhere but in the environment.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// As Docker's binds: `name:/path`, `/host/path:/path`, each with an optional `:ro`.
    pub volumes: Vec<String>,
    /// Networks to join beside or instead of the default bridge; the first is the one dialled.
    pub networks: Vec<String>,
    pub user: Option<String>,
    /// In billionths of a core, as Docker's `NanoCpus`.
    pub nano_cpus: Option<i64>,
    pub memory_bytes: Option<i64>,
}

/// Docker's port mapping reaches no further.
pub const LAST_PORT: u16 = u16::MAX;

impl Template {
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a template is plain data")
    }

    /// For a label, which monitoring copies far and wide: without the values of secrets.
    pub fn to_label(&self) -> String {
        let mut shown = self.clone();
        shown
            .environment
            .retain(|name, _| !self.secrets.contains(name));
        shown.to_json()
    }

    /// From a label, with the values that secrets have in `declared`; `None`: it lacks one.
    pub fn from_label(label: &str, declared: &Template) -> Option<Template> {
        let mut template: Template = serde_json::from_str(label).ok()?;
        for name in &template.secrets {
            let value = declared.environment.get(name)?;
            template.environment.insert(name.clone(), value.clone());
        }
        Some(template)
    }

    /// A name for the content, the same in every process and release.
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
