//! A container in Docker's list, as far as it is read here.

use serde::Deserialize;
use std::collections::HashMap;

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Listed {
    pub id: Option<String>,
    pub names: Option<Vec<String>>,
    /// In seconds since 1970.
    pub created: Option<i64>,
    #[serde(rename = "ImageID")]
    pub image_id: Option<String>,
    pub labels: Option<HashMap<String, String>>,
    pub state: Option<String>,
    pub status: Option<String>,
    pub host_config: Option<HostConfig>,
    pub network_settings: Option<NetworkSettings>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    pub network_mode: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct NetworkSettings {
    pub networks: Option<HashMap<String, Option<Endpoint>>>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    #[serde(rename = "IPAddress")]
    pub ip_address: Option<String>,
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: Option<String>,
}
