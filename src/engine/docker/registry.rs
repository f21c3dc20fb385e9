//! Credentials for pulls, from the Docker command's `config.json`.
//!
//! Credentials that `docker login` wrote there in the clear are used. Credential helpers are
//! other programs and are not run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::PathBuf;

const HUB: &str = "docker.io";
/// Docker Hub's name in the file.
const HUB_KEY: &str = "https://index.docker.io/v1/";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct Logins {
    auths: HashMap<String, Login>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Login {
    /// Base64 of `user:password`.
    auth: String,
    identitytoken: Option<String>,
}

impl Logins {
    /// Reads the file; empty when it is missing or cannot be read.
    pub fn load() -> Logins {
        let folder = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
        let Some(folder) = folder.or_else(home) else {
            return Logins::default();
        };
        let path = folder.join("config.json");
        let Ok(text) = std::fs::read(&path) else {
            return Logins::default();
        };
        serde_json::from_slice(&text).unwrap_or_else(|error| {
            log::warn!("{} is ignored: {error}", path.display());
            Logins::default()
        })
    }

    pub fn find(&self, image: &str) -> Option<DockerCredentials> {
        let registry = registry_of(image);
        let login = self
            .auths
            .iter()
            .find(|(key, _)| host_of(key) == registry)
            .map(|(_, login)| login)?;
        let decoded = STANDARD.decode(login.auth.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some(DockerCredentials {
            username: Some(user.to_owned()),
            password: Some(password.trim_end_matches('\0').to_owned()),
            identitytoken: login.identitytoken.clone(),
            serveraddress: Some(match registry {
                HUB => HUB_KEY.to_owned(),
                other => other.to_owned(),
            }),
            ..Default::default()
        })
    }

    /// Whether a credential helper would know this image's registry.
    pub fn helper_for(&self, image: &str) -> Option<&str> {
        let registry = registry_of(image);
        let own = self.cred_helpers.iter();
        let own = own.filter(|(key, _)| host_of(key) == registry);
        own.map(|(_, helper)| helper.as_str())
            .next()
            .or(self.creds_store.as_deref())
    }
}

/// Registry of an image's name, as Docker reads names.
fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first == "localhost" || first.contains(['.', ':']) => host_of(first),
        _ => HUB,
    }
}

/// The keys of the file come as a host, with a scheme, with a path.
fn host_of(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    match key.split_once('/').map_or(key, |(host, _)| host) {
        "index.docker.io" | "registry-1.docker.io" => HUB,
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins() -> Logins {
        let text = serde_json::json!({
            "auths": {
                "https://index.docker.io/v1/": { "auth": STANDARD.encode("me:hub:secret") },
                "ghcr.io": { "auth": STANDARD.encode("me:cat") },
                "box:5000": { "auth": "%%%" },
                "empty.example": {},
            },
            "credHelpers": { "ecr.example": "ecr-login" },
            "HttpHeaders": { "unknown": "is fine" },
        });
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn the_login_of_an_images_registry_is_found() {
        let found = |image: &str| {
            let login = logins().find(image)?;
            Some(format!("{}/{}", login.username?, login.password?))
        };
        assert_eq!(found("acts:latest").as_deref(), Some("me/hub:secret"));
        assert_eq!(found("team/acts").as_deref(), Some("me/hub:secret"));
        assert_eq!(
            found("docker.io/team/acts").as_deref(),
            Some("me/hub:secret")
        );
        assert_eq!(found("ghcr.io/team/acts:1").as_deref(), Some("me/cat"));
        for unknown in ["box:5000/acts", "empty.example/acts", "localhost/acts"] {
            assert_eq!(found(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_credential_helper_is_known_by_name() {
        let logins = logins();
        assert_eq!(logins.helper_for("ecr.example/acts"), Some("ecr-login"));
        assert_eq!(logins.helper_for("ghcr.io/acts"), None);
    }
}
