//! A container's settings in Docker's words.

use crate::service::spec::{ContainerSettings, Logging};
use bollard::models::{
    DeviceMapping, DeviceRequest, HostConfig, HostConfigLogConfig, ResourcesUlimits,
};
use std::collections::{BTreeMap, HashMap};

/// Size and number of a replica's log files. Docker's own default has no limit, and fills the disk.
const LOG_SIZE: &str = "10m";
const LOG_FILES: &str = "3";

/// Every container has the first option, so that programs such as `sudo` gain nothing.
pub fn security_opt(settings: &ContainerSettings) -> Vec<String> {
    let own = std::iter::once("no-new-privileges".to_owned());
    own.chain(settings.security_opt.iter().cloned()).collect()
}

/// The settings that are Docker's host configuration.
pub fn limits(settings: &ContainerSettings) -> HostConfig {
    let devices = settings.devices.iter().map(|device| DeviceMapping {
        path_on_host: Some(device.host.clone()),
        path_in_container: Some(device.container.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    });
    let gpus = settings.gpus.iter().map(|gpus| DeviceRequest {
        driver: gpus.driver.clone(),
        count: Some(gpus.count),
        device_ids: given(gpus.device_ids.clone()),
        capabilities: Some(vec![gpus.capabilities.clone()]),
        options: None,
    });
    let ulimits = settings
        .ulimits
        .iter()
        .map(|(name, limit)| ResourcesUlimits {
            name: Some(name.clone()),
            soft: Some(limit.soft),
            hard: Some(limit.hard),
        });
    HostConfig {
        extra_hosts: given(settings.extra_hosts.clone()),
        tmpfs: map(&settings.tmpfs),
        readonly_rootfs: settings.read_only.then_some(true),
        shm_size: settings.shm_size_bytes,
        init: settings.init,
        cap_add: given(settings.cap_add.clone()),
        cap_drop: given(settings.cap_drop.clone()),
        devices: given(devices.collect()),
        device_requests: given(gpus.collect()),
        ulimits: given(ulimits.collect()),
        sysctls: map(&settings.sysctls),
        log_config: Some(log_config(settings.logging.as_ref())),
        ..HostConfig::default()
    }
}

fn log_config(logging: Option<&Logging>) -> HostConfigLogConfig {
    let (driver, options) = match logging {
        Some(logging) => (logging.driver.clone(), map(&logging.options)),
        None => {
            let options = [("max-size", LOG_SIZE), ("max-file", LOG_FILES)];
            let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
            ("json-file".to_owned(), Some(HashMap::from(options)))
        }
    };
    HostConfigLogConfig {
        typ: Some(driver),
        config: options,
    }
}

fn given<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

fn map(pairs: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!pairs.is_empty()).then(|| pairs.clone().into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::spec::{GpuRequest, Ulimit};

    #[test]
    fn logs_are_rotated_unless_the_service_says_otherwise() {
        let json = |settings: &ContainerSettings| serde_json::to_value(limits(settings)).unwrap();
        let mut settings = ContainerSettings::default();
        let own = serde_json::json!({
            "LogConfig": {
                "Type": "json-file",
                "Config": { "max-size": "10m", "max-file": "3" },
            },
        });
        assert_eq!(json(&settings), own);
        settings.logging = Some(Logging {
            driver: "journald".to_owned(),
            options: BTreeMap::new(),
        });
        assert_eq!(
            json(&settings)["LogConfig"],
            serde_json::json!({ "Type": "journald" })
        );
    }

    #[test]
    fn settings_are_dockers() {
        let settings = ContainerSettings {
            read_only: true,
            gpus: vec![GpuRequest {
                count: -1,
                capabilities: vec!["gpu".to_owned()],
                ..GpuRequest::default()
            }],
            ulimits: [("nofile".to_owned(), Ulimit { soft: 1, hard: 2 })].into(),
            security_opt: vec!["label=disable".to_owned()],
            ..ContainerSettings::default()
        };
        let json = serde_json::to_value(limits(&settings)).unwrap();
        assert_eq!(json["ReadonlyRootfs"], true);
        let gpus = serde_json::json!([{ "Count": -1, "Capabilities": [["gpu"]] }]);
        assert_eq!(json["DeviceRequests"], gpus);
        let ulimits = serde_json::json!([{ "Name": "nofile", "Soft": 1, "Hard": 2 }]);
        assert_eq!(json["Ulimits"], ulimits);
        assert_eq!(
            security_opt(&settings),
            ["no-new-privileges", "label=disable"]
        );
    }
}
