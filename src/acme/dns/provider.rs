//! Records written at a DNS provider, over the crate `dns-update`.
//!
//! Names of providers and of their keys are those of `certs::dns_providers`.

use crate::certs::settings::DnsSettings;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dns_update::providers::azuredns::{AzureDnsConfig, AzureEnvironment};
use dns_update::providers::google_cloud_dns::GoogleCloudDnsConfig;
use dns_update::providers::route53::Route53Config;
use dns_update::{DnsRecord, DnsRecordType, DnsUpdater, Error, TsigAlgorithm};
use std::time::Duration;

/// Timeout of one call.
const CALL_WITHIN: Option<Duration> = Some(Duration::from_secs(20));
/// Some providers refuse less.
const TTL_SECS: u32 = 60;

/// A record at a provider.
pub struct Written {
    updater: DnsUpdater,
    zone: String,
    at: String,
    value: String,
    /// Whether the provider knows only one text at a name, which is set and not added.
    is_only: bool,
}

/// Writes `value` at the name `at`, beside others that are there.
pub async fn write(
    settings: &DnsSettings,
    zone: &str,
    at: &str,
    value: &str,
) -> Result<Written, String> {
    let updater = updater(settings)?;
    let record = || vec![DnsRecord::TXT(value.to_owned())];
    let added = updater.add_to_rrset(at, DnsRecordType::TXT, TTL_SECS, record(), zone);
    let is_only = match added.await {
        Ok(()) => false,
        Err(Error::Unsupported(_)) => {
            let set = updater.set_rrset(at, DnsRecordType::TXT, TTL_SECS, record(), zone);
            set.await.map_err(|error| words(&error))?;
            true
        }
        Err(error) => return Err(words(&error)),
    };
    Ok(Written {
        updater,
        zone: zone.to_owned(),
        at: at.to_owned(),
        value: value.to_owned(),
        is_only,
    })
}

impl Written {
    pub async fn remove(self) -> Result<(), String> {
        let Written {
            updater, zone, at, ..
        } = &self;
        let removed = match self.is_only {
            true => {
                let none = Vec::new();
                updater
                    .set_rrset(at, DnsRecordType::TXT, TTL_SECS, none, zone)
                    .await
            }
            false => {
                let record = vec![DnsRecord::TXT(self.value.clone())];
                updater
                    .remove_from_rrset(at, DnsRecordType::TXT, record, zone)
                    .await
            }
        };
        removed.map_err(|error| words(&error))
    }
}

fn words(error: &Error) -> String {
    match error {
        Error::Unauthorized => "it refuses the credentials".to_owned(),
        Error::NotFound => "it does not know the zone".to_owned(),
        other => other.to_string(),
    }
}

/// The client for the provider of the configuration.
fn updater(settings: &DnsSettings) -> Result<DnsUpdater, String> {
    let keys = Keys(settings);
    let one = |name: &str| keys.get(name);
    let within = CALL_WITHIN;
    let made = match settings.provider.as_str() {
        "rfc2136" => return rfc2136(&keys),
        "route53" => DnsUpdater::new_route53(Route53Config {
            access_key_id: one("access_key_id")?,
            secret_access_key: one("secret_access_key")?,
            session_token: keys.maybe("session_token")?,
            region: keys.maybe("region")?,
            hosted_zone_id: keys.maybe("hosted_zone_id")?,
            private_zone_only: None,
            endpoint: None,
        }),
        "google" => DnsUpdater::new_google_cloud_dns(GoogleCloudDnsConfig {
            service_account_json: one("service_account")?,
            project_id: one("project")?,
            managed_zone: keys.maybe("managed_zone")?,
            private_zone: false,
            impersonate_service_account: None,
            request_timeout: within,
        }),
        "azure" => DnsUpdater::new_azuredns(AzureDnsConfig {
            tenant_id: one("tenant_id")?,
            client_id: one("client_id")?,
            client_secret: one("client_secret")?,
            subscription_id: one("subscription_id")?,
            resource_group: one("resource_group")?,
            environment: AzureEnvironment::Public,
            request_timeout: within,
        }),
        "ovh" => {
            let endpoint = keys.maybe("endpoint")?.unwrap_or("ovh-eu".to_owned());
            let endpoint = endpoint.parse();
            let endpoint = endpoint.map_err(|error: Error| format!("`endpoint`: {error}"))?;
            DnsUpdater::new_ovh(
                one("application_key")?,
                one("application_secret")?,
                one("consumer_key")?,
                endpoint,
                within,
            )
        }
        "powerdns" => DnsUpdater::new_pdns(
            one("token")?,
            Some(one("endpoint")?),
            keys.maybe("server")?,
            within,
        ),
        "porkbun" => DnsUpdater::new_porkbun(one("api_key")?, one("secret_key")?, within),
        "godaddy" => DnsUpdater::new_godaddy(one("api_key")?, one("secret_key")?, within),
        "exoscale" => DnsUpdater::new_exoscale(one("api_key")?, one("secret_key")?, within),
        "domeneshop" => DnsUpdater::new_domeneshop(one("token")?, one("secret_key")?, within),
        "dnsimple" => DnsUpdater::new_dnsimple(one("token")?, one("account_id")?, within),
        "netcup" => DnsUpdater::new_netcup(
            one("customer_number")?,
            one("api_key")?,
            one("password")?,
            within,
        ),
        "inwx" => DnsUpdater::new_inwx(one("username")?, one("password")?, false, within),
        "cloudflare" => DnsUpdater::new_cloudflare(one("token")?, within),
        "digitalocean" => DnsUpdater::new_digitalocean(one("token")?, within),
        "desec" => DnsUpdater::new_desec(one("token")?, within),
        "bunny" => DnsUpdater::new_bunny(one("token")?, within),
        "linode" => DnsUpdater::new_linode(one("token")?, within),
        "gandi" => DnsUpdater::new_gandiv5(one("token")?, within),
        "hetzner" => DnsUpdater::new_hetzner(one("token")?, within),
        "namesilo" => DnsUpdater::new_namesilo(one("token")?, within),
        "duckdns" => DnsUpdater::new_duckdns(one("token")?, within),
        "vultr" => DnsUpdater::new_vultr(one("token")?, within),
        "scaleway" => DnsUpdater::new_scaleway(one("token")?, within),
        "netlify" => DnsUpdater::new_netlify(one("token")?, within),
        "ionos" => DnsUpdater::new_ionos(one("token")?, within),
        "infomaniak" => DnsUpdater::new_infomaniak(one("token")?, within),
        "hostingde" => DnsUpdater::new_hostingde(one("token")?, within),
        "dreamhost" => DnsUpdater::new_dreamhost(one("token")?, within),
        "dynu" => DnsUpdater::new_dynu(one("token")?, within),
        "gcore" => DnsUpdater::new_gcore(one("token")?, within),
        "ipv64" => DnsUpdater::new_ipv64(one("token")?, within),
        other => return Err(format!("`tls.dns.provider` {other} is not known")),
    };
    made.map_err(|error| format!("`tls.dns`: {error}"))
}

/// A server of one's own, such as BIND, by signed updates.
fn rfc2136(keys: &Keys<'_>) -> Result<DnsUpdater, String> {
    let secret = keys.get("key")?;
    let secret = BASE64_STANDARD.decode(secret.trim());
    let secret = secret.map_err(|_| "`tls.dns.key` is no base64".to_owned())?;
    let algorithm = keys.maybe("algorithm")?.unwrap_or("hmac-sha256".to_owned());
    let algorithm = match algorithm.to_ascii_lowercase().as_str() {
        "hmac-sha256" => TsigAlgorithm::HmacSha256,
        "hmac-sha384" => TsigAlgorithm::HmacSha384,
        "hmac-sha512" => TsigAlgorithm::HmacSha512,
        other => {
            return Err(format!(
                "`tls.dns.algorithm` {other} is not one of hmac-sha256, hmac-sha384, hmac-sha512"
            ));
        }
    };
    let server = keys.get("server")?;
    DnsUpdater::new_rfc2136_tsig(server.as_str(), keys.get("key_name")?, secret, algorithm)
        .map_err(|error| format!("`tls.dns.server` {server}: {error}"))
}

/// Keys of the provider; `NAME_file` names a file that holds the value of NAME.
struct Keys<'a>(&'a DnsSettings);

impl Keys<'_> {
    fn get(&self, name: &str) -> Result<String, String> {
        self.maybe(name)?
            .ok_or_else(|| format!("`tls.dns.{name}` is missing"))
    }

    fn maybe(&self, name: &str) -> Result<Option<String>, String> {
        if let Some(value) = self.0.keys.get(name) {
            return Ok(Some(value.clone()));
        }
        let Some(path) = self.0.keys.get(&format!("{name}_file")) else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| format!("`tls.dns.{name}_file` {path}: {error}"))?;
        Ok(Some(text.trim().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::dns_providers::DNS_PROVIDERS;

    fn settings(provider: &str, keys: &[&str]) -> DnsSettings {
        let value = |key: &str| match key {
            "server" => "127.0.0.1:53",
            "endpoint" if provider == "ovh" => "ovh-ca",
            "endpoint" => "http://127.0.0.1:8081",
            "region" => "us-east-1",
            _ => "c2VjcmV0",
        };
        let keys = keys
            .iter()
            .map(|key| ((*key).to_owned(), value(key).to_owned()));
        DnsSettings {
            provider: provider.to_owned(),
            keys: keys.collect(),
        }
    }

    #[test]
    fn each_provider_of_the_list_is_made_from_the_keys_that_it_needs() {
        crate::certs::crypto::install();
        for provider in DNS_PROVIDERS {
            let made = updater(&settings(provider.name, provider.needs));
            if let Err(why) = made {
                // This one reads the JSON at once.
                assert_eq!(provider.name, "google", "{}: {why}", provider.name);
            }
            for left_out in provider.needs {
                let others: Vec<&str> = provider.needs.to_vec();
                let others: Vec<&str> = others.into_iter().filter(|key| key != left_out).collect();
                let why = updater(&settings(provider.name, &others)).err();
                let why = why.expect("a key is missing");
                assert!(why.contains(left_out), "{}: {why}", provider.name);
            }
        }
        assert!(updater(&settings("nobody", &[])).is_err());
    }

    #[test]
    fn a_secret_may_be_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "c2VjcmV0\n").unwrap();
        let mut own = settings("rfc2136", &["server", "key_name"]);
        let path = path.display().to_string();
        own.keys.insert("key_file".to_owned(), path);
        assert!(updater(&own).is_ok());
    }
}
