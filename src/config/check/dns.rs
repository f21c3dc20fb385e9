//! The DNS provider of `dns-01`, and its keys.

use crate::certs::dns_providers::{DNS_PROVIDERS, DnsProvider};
use crate::certs::settings::DnsSettings;
use crate::config::report::At;
use crate::config::suggestion::{did_you_mean, quoted};
use serde_yaml::Mapping;
use std::collections::BTreeMap;

/// A provider with its keys; `None` after a problem.
pub fn dns(at: &At<'_>, typed: Mapping) -> Option<DnsSettings> {
    let mut keys = BTreeMap::new();
    let mut are_right = true;
    for (key, value) in typed {
        let Some(key) = key.as_str() else {
            continue;
        };
        let at = at.key(key);
        match at.scalar(&value) {
            // A secret that looks like a number stays as it was typed.
            Some(typed) => {
                let text = at.text().map_or_else(|| typed.to_string(), str::to_owned);
                keys.insert(key.to_owned(), text);
            }
            None => are_right = false,
        }
    }
    let Some(name) = keys.remove("provider") else {
        at.error_hint("names no `provider`", "as in `{ provider: rfc2136, … }`");
        return None;
    };
    let Some(provider) = DnsProvider::find(&name) else {
        let names = DNS_PROVIDERS.iter().map(|provider| provider.name);
        let hint = did_you_mean(&name, names.clone());
        let hint = hint.unwrap_or_else(|| format!("one of {}", quoted(names)));
        at.key("provider")
            .error_hint(format!("expected a DNS provider, found `{name}`"), hint);
        return None;
    };
    let settings = DnsSettings {
        provider: name,
        keys,
    };
    (has_right_keys(at, provider, &settings) && are_right).then_some(settings)
}

fn has_right_keys(at: &At<'_>, provider: &DnsProvider, settings: &DnsSettings) -> bool {
    let mut are_right = true;
    for key in settings.keys.keys() {
        let bare = key.strip_suffix("_file").unwrap_or(key);
        if !provider.keys().any(|known| known == bare) {
            are_right = false;
            let hint = did_you_mean(key, provider.keys());
            let hint = hint.unwrap_or_else(|| format!("it has {}", quoted(provider.keys())));
            at.key(key)
                .error_hint(format!("`{}` has no key `{key}`", provider.name), hint);
        }
    }
    for key in provider.needs {
        let in_file = format!("{key}_file");
        if !settings.keys.contains_key(*key) && !settings.keys.contains_key(&in_file) {
            are_right = false;
            at.error_hint(
                format!("`{}` needs `{key}`", provider.name),
                format!("or `{in_file}` with the path of a file that holds it"),
            );
        }
    }
    are_right
}
