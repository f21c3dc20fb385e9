//! Traefik's own settings of certificates, from its command and its environment.

use super::environment::variables_of;
use crate::cli::init::yaml::text_of;
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;

/// A `certificatesresolver` with ACME.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    pub email: Option<String>,
    /// URL of the authority's directory.
    pub ca: Option<String>,
    /// Provider of the DNS challenge.
    pub dns: Option<String>,
    /// Servers that the DNS challenge asks.
    pub servers: Vec<String>,
    /// Path of `acme.json` in the container.
    pub storage: Option<String>,
    /// Flags that are not translated.
    pub others: Vec<String>,
}

/// Settings that have to do with HTTPS.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub resolvers: BTreeMap<String, Resolver>,
    /// Resolver of an entry point, for all its routers.
    pub used: Vec<String>,
    /// Names of certificates, wildcards for the most part.
    pub domains: Vec<String>,
    /// Whether an entry point ends TLS, or redirects to one that does.
    pub has_https: bool,
}

impl Settings {
    /// Reads the settings of a service; those of one that is no Traefik are empty.
    pub fn read(&mut self, keys: &Mapping) {
        let words = match keys.get("command") {
            Some(Value::Sequence(words)) => words.iter().map(text_of).collect(),
            Some(words) => text_of(words)
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            None => Vec::new(),
        };
        for word in words {
            if let Some(flag) = word.strip_prefix("--") {
                let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
                self.set(name, value);
            }
        }
        for (name, value) in variables_of(keys) {
            if let Some(name) = name.strip_prefix("TRAEFIK_") {
                self.set(&name.replace('_', "."), &value);
            }
        }
    }

    fn set(&mut self, name: &str, value: &str) {
        // Traefik does not mind how its words are written.
        let name = name.to_ascii_lowercase();
        let parts: Vec<&str> = name.split('.').collect();
        match parts.as_slice() {
            ["certificatesresolvers", resolver, "acme", rest @ ..] => {
                let resolver = self.resolvers.entry((*resolver).to_owned());
                resolver.or_default().set(&name, rest, value);
            }
            ["entrypoints", _, "http", "tls"] => self.has_https |= value != "false",
            ["entrypoints", _, "http", "tls", "certresolver"] => {
                self.has_https = true;
                self.used.push(value.to_ascii_lowercase());
            }
            ["entrypoints", _, "http", "tls", domain, "main" | "sans"]
                if domain.starts_with("domains[") =>
            {
                self.has_https = true;
                self.domains.extend(list(value));
            }
            ["entrypoints", _, "http", "redirections", "entrypoint", ..] => self.has_https = true,
            _ => {}
        }
    }
}

impl Resolver {
    fn set(&mut self, name: &str, key: &[&str], value: &str) {
        let text = Some(value.to_owned()).filter(|value| !value.is_empty());
        match key {
            ["email"] => self.email = text,
            ["caserver"] => self.ca = text,
            ["storage"] => self.storage = text,
            ["dnschallenge", "provider"] => self.dns = text,
            ["dnschallenge", servers] if servers.starts_with("resolvers") => {
                self.servers.extend(list(value));
            }
            // Both are tried by default.
            ["tlschallenge" | "httpchallenge"]
            | ["httpchallenge", "entrypoint"]
            | ["dnschallenge"] => {}
            _ => self.others.push(format!("--{name}={value}")),
        }
    }
}

/// Names in a list with commas.
pub fn list(text: &str) -> impl Iterator<Item = String> + '_ {
    let items = text.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(yaml: &str) -> Settings {
        let mut settings = Settings::default();
        settings.read(&serde_yaml::from_str(yaml).unwrap());
        settings
    }

    #[test]
    fn flags_are_read_in_each_form_and_from_the_environment() {
        let flags = [
            "--entryPoints.websecure.address=:443",
            "--certificatesResolvers.le.acme.email=me@example.com",
            "--certificatesresolvers.le.acme.caServer=https://ca.example.net/dir",
            "--certificatesresolvers.le.acme.dnschallenge=true",
            "--certificatesresolvers.le.acme.dnschallenge.provider=cloudflare",
            "--certificatesresolvers.le.acme.dnschallenge.resolvers=1.1.1.1:53,8.8.8.8:53",
            "--certificatesresolvers.le.acme.keytype=RSA4096",
            "--certificatesresolvers.le.acme.storage=/data/acme.json",
        ];
        let as_list = read(&format!("command: {flags:?}"));
        let resolver = Resolver {
            email: Some("me@example.com".to_owned()),
            ca: Some("https://ca.example.net/dir".to_owned()),
            dns: Some("cloudflare".to_owned()),
            servers: vec!["1.1.1.1:53".to_owned(), "8.8.8.8:53".to_owned()],
            storage: Some("/data/acme.json".to_owned()),
            others: vec!["--certificatesresolvers.le.acme.keytype=RSA4096".to_owned()],
        };
        assert_eq!(as_list.resolvers["le"], resolver);
        assert!(!as_list.has_https);
        let as_text = read(&format!("command: {:?}", flags.join(" ")));
        assert_eq!(as_text, as_list);
        let variables = "environment: [TRAEFIK_CERTIFICATESRESOLVERS_LE_ACME_EMAIL=a@b.c, OTHER]";
        let of_variables = read(variables);
        assert_eq!(of_variables.resolvers["le"].email.as_deref(), Some("a@b.c"));
    }

    #[test]
    fn an_entry_point_with_tls_or_a_redirection_is_https() {
        for (flag, used, domains) in [
            ("--entrypoints.web.http.redirections.entrypoint.to=x", 0, 0),
            ("--entrypoints.x.http.tls=true", 0, 0),
            ("--entrypoints.x.http.tls.certresolver=le", 1, 0),
            (
                "--entrypoints.x.http.tls.domains[0].sans=*.a.com,a.com",
                0,
                2,
            ),
        ] {
            let settings = read(&format!("command: [{flag:?}]"));
            assert!(settings.has_https, "{flag}");
            let found = (settings.used.len(), settings.domains.len());
            assert_eq!(found, (used, domains), "{flag}");
        }
        assert!(!read("command: [\"--entrypoints.x.http.tls=false\"]").has_https);
    }

    proptest! {
        #![proptest_config(crate::cases(300))]

        #[test]
        fn any_command_is_read(words in prop::collection::vec("\\PC{0,40}", 0..5)) {
            let flags = words.iter().map(|word| {
                format!("--certificatesresolvers.le.acme.{word}")
            });
            let flags: Vec<String> = flags.chain(words.iter().cloned()).collect();
            let command: Value = flags.into_iter().map(Value::from).collect();
            let keys = [("command".into(), command)].into_iter().collect();
            Settings::default().read(&keys);
        }
    }
}
