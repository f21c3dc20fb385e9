//! DNS providers by the names that Traefik has for them, and the variables that hold their secrets.

use crate::certs::dns_providers::DnsProvider;

/// Traefik's name, ours, and a variable for each key that ours needs, in the same order. A key that
/// Traefik has no variable for is empty.
const PROVIDERS: &[(&str, &str, &[&str])] = &[
    ("azuredns", "azure", AZURE),
    ("azure", "azure", AZURE),
    ("bunny", "bunny", &["BUNNY_API_KEY"]),
    ("cloudflare", "cloudflare", &["CF_DNS_API_TOKEN"]),
    ("desec", "desec", &["DESEC_TOKEN"]),
    ("digitalocean", "digitalocean", &["DO_AUTH_TOKEN"]),
    ("dnsimple", "dnsimple", &["DNSIMPLE_OAUTH_TOKEN", ""]),
    (
        "domeneshop",
        "domeneshop",
        &["DOMENESHOP_API_TOKEN", "DOMENESHOP_API_SECRET"],
    ),
    ("dreamhost", "dreamhost", &["DREAMHOST_API_KEY"]),
    ("duckdns", "duckdns", &["DUCKDNS_TOKEN"]),
    ("dynu", "dynu", &["DYNU_API_KEY"]),
    (
        "exoscale",
        "exoscale",
        &["EXOSCALE_API_KEY", "EXOSCALE_API_SECRET"],
    ),
    ("gandiv5", "gandi", &["GANDIV5_PERSONAL_ACCESS_TOKEN"]),
    ("gcloud", "google", &["GCE_SERVICE_ACCOUNT", "GCE_PROJECT"]),
    ("gcore", "gcore", &["GCORE_PERMANENT_API_TOKEN"]),
    (
        "godaddy",
        "godaddy",
        &["GODADDY_API_KEY", "GODADDY_API_SECRET"],
    ),
    ("hetzner", "hetzner", &["HETZNER_API_TOKEN"]),
    ("hostingde", "hostingde", &["HOSTINGDE_API_KEY"]),
    ("infomaniak", "infomaniak", &["INFOMANIAK_ACCESS_TOKEN"]),
    ("inwx", "inwx", &["INWX_USERNAME", "INWX_PASSWORD"]),
    ("ionos", "ionos", &["IONOS_API_KEY"]),
    ("ipv64", "ipv64", &["IPV64_API_KEY"]),
    ("linode", "linode", &["LINODE_TOKEN"]),
    ("namesilo", "namesilo", &["NAMESILO_API_KEY"]),
    (
        "netcup",
        "netcup",
        &[
            "NETCUP_CUSTOMER_NUMBER",
            "NETCUP_API_KEY",
            "NETCUP_API_PASSWORD",
        ],
    ),
    ("netlify", "netlify", &["NETLIFY_TOKEN"]),
    (
        "ovh",
        "ovh",
        &[
            "OVH_APPLICATION_KEY",
            "OVH_APPLICATION_SECRET",
            "OVH_CONSUMER_KEY",
        ],
    ),
    ("pdns", "powerdns", &["PDNS_API_KEY", "PDNS_API_URL"]),
    (
        "porkbun",
        "porkbun",
        &["PORKBUN_API_KEY", "PORKBUN_SECRET_API_KEY"],
    ),
    (
        "rfc2136",
        "rfc2136",
        &[
            "RFC2136_NAMESERVER",
            "RFC2136_TSIG_KEY",
            "RFC2136_TSIG_SECRET",
        ],
    ),
    (
        "route53",
        "route53",
        &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
    ),
    ("scaleway", "scaleway", &["SCW_SECRET_KEY"]),
    ("vultr", "vultr", &["VULTR_API_KEY"]),
];

const AZURE: &[&str] = &[
    "AZURE_TENANT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_SUBSCRIPTION_ID",
    "AZURE_RESOURCE_GROUP",
];

/// Value of `tls.dns` for Traefik's provider, and a comment that names the variables of its secrets.
/// Each key is a file, because a Compose file is no place to copy secrets from.
pub fn dns(of_traefik: &str) -> Option<(String, String)> {
    let (_, name, variables) = PROVIDERS.iter().find(|(name, ..)| *name == of_traefik)?;
    let provider = DnsProvider::find(name)?;
    let mut keys = vec![format!("provider: {name}")];
    let needs = provider.needs.iter();
    keys.extend(needs.map(|key| format!("{key}_file: /run/secrets/{name}_{key}")));
    let variables: Vec<&str> = variables
        .iter()
        .copied()
        .filter(|it| !it.is_empty())
        .collect();
    let files = match provider.needs {
        [_] => "write into this file",
        _ => "write into these files",
    };
    let why = format!(
        "{files}, for Tidegate's user alone: Traefik's {}",
        variables.join(", ")
    );
    Some((format!("{{ {} }}", keys.join(", ")), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_is_known_and_has_a_variable_for_each_key() {
        for (of_traefik, name, variables) in PROVIDERS {
            let provider = DnsProvider::find(name).expect(name);
            assert_eq!(variables.len(), provider.needs.len(), "{of_traefik}");
            assert!(dns(of_traefik).is_some());
        }
        assert!(dns("acmedns").is_none());
    }
}
