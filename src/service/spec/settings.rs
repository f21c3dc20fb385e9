//! Settings of a container that most services leave out, in Compose's words.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings beyond image, command, variables and limits. Those that are left out are not in the
/// JSON of a template either, so that a new one changes no hash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSettings {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// As `NAME:ADDRESS`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<String>,
    /// Options by path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_false")]
    pub read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size_bytes: Option<i64>,
    /// `None`: as Docker is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_add: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cap_drop: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_opt: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuRequest>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ulimits: BTreeMap<String, Ulimit>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// `-1`: no limit; `None`: Tidegate's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<i64>,
    /// `None`: files that are rotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub host: String,
    pub container: String,
    /// Of `r`, `w` and `m`.
    pub permissions: String,
}

/// GPUs by number or by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// `-1`: all; 0 with names.
    pub count: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_ids: Vec<String>,
    pub capabilities: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    pub soft: i64,
    pub hard: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logging {
    pub driver: String,
    pub options: BTreeMap<String, String>,
}

impl ContainerSettings {
    pub fn is_default(&self) -> bool {
        *self == ContainerSettings::default()
    }

    /// Keys whose values differ.
    pub fn changed(&self, after: &ContainerSettings) -> Vec<&'static str> {
        let keys = [
            ("labels", self.labels != after.labels),
            ("working_dir", self.working_dir != after.working_dir),
            ("hostname", self.hostname != after.hostname),
            ("extra_hosts", self.extra_hosts != after.extra_hosts),
            ("tmpfs", self.tmpfs != after.tmpfs),
            ("read_only", self.read_only != after.read_only),
            ("shm_size", self.shm_size_bytes != after.shm_size_bytes),
            ("init", self.init != after.init),
            ("stop_signal", self.stop_signal != after.stop_signal),
            ("cap_add", self.cap_add != after.cap_add),
            ("cap_drop", self.cap_drop != after.cap_drop),
            ("security_opt", self.security_opt != after.security_opt),
            ("devices", self.devices != after.devices),
            ("gpus", self.gpus != after.gpus),
            ("ulimits", self.ulimits != after.ulimits),
            ("sysctls", self.sysctls != after.sysctls),
            ("pids_limit", self.pids_limit != after.pids_limit),
            ("logging", self.logging != after.logging),
        ];
        let changed = keys.into_iter().filter(|(_, differs)| *differs);
        changed.map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::service::spec::Template;

    /// A template as an older version wrote it to a label.
    const OLDER: &str = r#"{"image":"web:1","port":80,"command":null,"entrypoint":null,
        "environment":{},"volumes":[],"networks":[],"user":null,"nano_cpus":null,
        "memory_bytes":null}"#;

    #[test]
    fn settings_that_are_left_out_change_no_hash() {
        let template: Template = serde_json::from_str(OLDER).expect("a template");
        assert!(template.settings.is_default());
        let compact: String = OLDER.split_whitespace().collect();
        assert_eq!(template.to_json(), compact);
        let mut changed = template.clone();
        changed.settings.read_only = true;
        assert_ne!(changed.hash(), template.hash());
        assert!(
            changed
                .to_json()
                .ends_with(r#""settings":{"read_only":true}}"#)
        );
        assert_eq!(template.settings.changed(&changed.settings), ["read_only"]);
        let read: Template = serde_json::from_str(&changed.to_json()).expect("a template");
        assert_eq!(read.hash(), changed.hash());
    }
}
