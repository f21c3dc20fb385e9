//! DNS providers that DNS-01 can write to, and their keys in the configuration.

/// A provider, by its name in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct DnsProvider {
    pub name: &'static str,
    /// Keys that must be there; each may also be given as `KEY_file`.
    pub needs: &'static [&'static str],
    pub may_have: &'static [&'static str],
}

const fn provider(
    name: &'static str,
    needs: &'static [&'static str],
    may_have: &'static [&'static str],
) -> DnsProvider {
    DnsProvider {
        name,
        needs,
        may_have,
    }
}

/// A provider with one secret.
const fn by_token(name: &'static str) -> DnsProvider {
    provider(name, &["token"], &[])
}

/// Every provider, in the order of the reference. All of them may have `zone`.
pub const DNS_PROVIDERS: &[DnsProvider] = &[
    provider("rfc2136", &["server", "key_name", "key"], &["algorithm"]),
    by_token("cloudflare"),
    provider(
        "route53",
        &["access_key_id", "secret_access_key"],
        &["session_token", "region", "hosted_zone_id"],
    ),
    provider("google", &["service_account", "project"], &["managed_zone"]),
    provider(
        "azure",
        &[
            "tenant_id",
            "client_id",
            "client_secret",
            "subscription_id",
            "resource_group",
        ],
        &[],
    ),
    provider(
        "ovh",
        &["application_key", "application_secret", "consumer_key"],
        &["endpoint"],
    ),
    provider("powerdns", &["token", "endpoint"], &["server"]),
    provider("porkbun", &["api_key", "secret_key"], &[]),
    provider("godaddy", &["api_key", "secret_key"], &[]),
    provider("exoscale", &["api_key", "secret_key"], &[]),
    provider("domeneshop", &["token", "secret_key"], &[]),
    provider("dnsimple", &["token", "account_id"], &[]),
    provider("netcup", &["customer_number", "api_key", "password"], &[]),
    provider("inwx", &["username", "password"], &[]),
    by_token("bunny"),
    by_token("desec"),
    by_token("digitalocean"),
    by_token("dreamhost"),
    by_token("duckdns"),
    by_token("dynu"),
    by_token("gandi"),
    by_token("gcore"),
    by_token("hetzner"),
    by_token("hostingde"),
    by_token("infomaniak"),
    by_token("ionos"),
    by_token("ipv64"),
    by_token("linode"),
    by_token("namesilo"),
    by_token("netlify"),
    by_token("scaleway"),
    by_token("vultr"),
];

impl DnsProvider {
    pub fn find(name: &str) -> Option<&'static DnsProvider> {
        DNS_PROVIDERS.iter().find(|provider| provider.name == name)
    }

    /// Every key of this provider, without the forms that end in `_file`.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        let own = self.needs.iter().chain(self.may_have);
        own.copied().chain(["zone"])
    }
}
