//! HTTPS of a Compose file: the signs of it, and `tls` for the public hosts of the draft.

use super::dns::dns;
use super::environment::variable;
use super::labels::labels;
use super::ports::{is_https, ports};
use super::resolver::{Resolver, Settings, list};
use crate::certs::CertName;
use crate::certs::settings::Ca;
use crate::cli::init::draft::{Draft, DraftService, TlsDraft, list as flow_list, quoted};
use crate::labels::read_traefik;
use serde_yaml::{Mapping, Value};
use std::net::SocketAddr;

/// Everything that a file says about HTTPS.
#[derive(Default)]
struct Signs {
    is_https: bool,
    traefik: Settings,
    /// An address for mail of another program that orders certificates.
    email: Option<(String, String)>,
}

/// Sets `tls` where the file shows HTTPS, or `email` asks for it.
pub fn https(services: &Mapping, email: Option<&str>, draft: &mut Draft) {
    let signs = signs(services);
    if !signs.is_https && email.is_none() {
        return;
    }
    let mut tls = TlsDraft {
        hosts: public_hosts(&draft.services),
        ..TlsDraft::default()
    };
    let remarks = &mut draft.foot;
    let (name, resolver) = chosen(&signs.traefik, remarks);
    let has_dns = resolver.is_some_and(|resolver| settings(resolver, &mut tls, remarks));
    domains(&signs.traefik.domains, has_dns, &mut tls, remarks);
    if tls.hosts.is_empty() {
        remarks.push(
            "not translated: HTTPS; no route names a public host, and certificates are ordered \
             for those: set `routes` and `tls: { email: … }`"
                .to_owned(),
        );
        return;
    }
    let is_wild = |host: &&String| host.starts_with("*.");
    if let Some(host) = tls.hosts.iter().find(is_wild).filter(|_| !has_dns) {
        tls.missing
            .push(format!("`dns`, which alone can prove `{host}`"));
    }
    let of_resolver = resolver.and_then(|resolver| resolver.email.clone());
    let of_resolver = of_resolver.map(|email| (email, format!("from Traefik's resolver `{name}`")));
    let given = email.map(|email| (email.to_owned(), String::new()));
    if let Some((email, from)) = given.or(of_resolver).or(signs.email) {
        (tls.email, tls.email_from) = (Some(email), from);
    }
    if resolver.is_some() {
        remarks.push(
            "the certificates that Traefik holds can be taken over: `tidegate certs import \
             acme.json`, before the first start"
                .to_owned(),
        );
    }
    draft.tls = Some(tls);
}

fn signs(services: &Mapping) -> Signs {
    let mut signs = Signs::default();
    for keys in services.values().filter_map(Value::as_mapping) {
        signs.traefik.read(keys);
        signs.is_https |= ports(keys).published.iter().any(|port| is_https(port));
        let labels = labels(keys);
        for (key, value) in read_traefik(&labels).tls {
            signs.is_https = true;
            match key.as_str() {
                "" => {}
                "certresolver" => signs.traefik.used.push(value.to_ascii_lowercase()),
                _ => signs.traefik.domains.extend(list(&value)),
            }
        }
        signs.is_https |= variable(keys, "LETSENCRYPT_HOST").is_some();
        let variables = ["LETSENCRYPT_EMAIL", "DEFAULT_EMAIL"].into_iter();
        let of_variable = variables.filter_map(|name| Some((name, variable(keys, name)?)));
        let of_label = labels.iter().filter(|(key, _)| key == "caddy.email");
        let of_label = of_label.map(|(key, value)| (key.as_str(), value.clone()));
        let emails = of_variable.chain(of_label);
        let mut emails = emails.filter(|(_, email)| email.contains('@'));
        if let Some((name, email)) = emails.next() {
            signs.email.get_or_insert((email, format!("from {name}")));
        }
    }
    signs.is_https |= signs.traefik.has_https || !signs.traefik.resolvers.is_empty();
    signs
}

/// The resolver that routers name, or the first; the others become remarks.
fn chosen<'a>(traefik: &'a Settings, remarks: &mut Vec<String>) -> (&'a str, Option<&'a Resolver>) {
    let known = |name: &&String| traefik.resolvers.contains_key(*name);
    let first = traefik.used.iter().find(known);
    let Some(name) = first.or(traefik.resolvers.keys().next()) else {
        return ("", None);
    };
    for other in traefik.resolvers.keys().filter(|other| *other != name) {
        remarks.push(format!(
            "not translated: Traefik's resolver `{other}`; all hosts get certificates in the way \
             of `{name}`"
        ));
    }
    (name, traefik.resolvers.get(name))
}

/// Sets the keys that a resolver has; returns whether DNS proves names.
fn settings(resolver: &Resolver, tls: &mut TlsDraft, remarks: &mut Vec<String>) -> bool {
    let mut key = |name: &str, value: String, why: String| {
        tls.keys.push((name.to_owned(), value, why));
    };
    let staging = Ca::LetsEncryptStaging;
    match resolver.ca.as_deref() {
        None => {}
        url if url == Ca::LetsEncrypt.directory() => {}
        url if url == staging.directory() => key(
            "ca",
            format!("[{staging}]"),
            "nobody trusts its certificates; without this line, `letsencrypt`".to_owned(),
        ),
        Some(url)
            if [Ca::ZeroSsl, Ca::Google]
                .iter()
                .any(|ca| ca.directory() == Some(url)) =>
        {
            remarks.push(format!(
                "not translated: Traefik's authority {url}; with a key of your account there, \
                 `tls.ca` and `tls.eab` name it"
            ));
        }
        Some(url) if url.starts_with("https://") => key(
            "ca",
            format!("[{}]", quoted(url)),
            "`ca_root` names a root that the system does not trust".to_owned(),
        ),
        Some(url) => remarks.push(format!(
            "not translated: Traefik's authority {url}; orders go over https only"
        )),
    }
    let provider = resolver.dns.as_deref();
    let known = provider.and_then(dns);
    match (provider, &known) {
        (Some(_), Some((value, why))) => key("dns", value.clone(), why.clone()),
        (Some(provider), None) => remarks.push(format!(
            "not translated: Traefik's DNS provider `{provider}`, which is unknown here; names are \
             proven by connections to ports 80 and 443"
        )),
        (None, _) => {}
    }
    let are_addresses = |server: &String| server.parse::<SocketAddr>().is_ok();
    match resolver.servers.as_slice() {
        [] => {}
        servers if servers.iter().all(are_addresses) => {
            key("resolvers", flow_list(servers), String::new());
        }
        servers => remarks.push(format!(
            "not translated: Traefik's DNS servers {}; `tls.resolvers` takes addresses with ports",
            servers.join(", ")
        )),
    }
    for flag in &resolver.others {
        remarks.push(format!("not translated: Traefik's `{flag}`"));
    }
    known.is_some()
}

/// Sets `hosts` to names of certificates that no route has.
fn domains(all: &[String], has_dns: bool, tls: &mut TlsDraft, remarks: &mut Vec<String>) {
    let mut hosts: Vec<String> = Vec::new();
    for domain in all {
        match domain.parse::<CertName>() {
            Ok(name) if tls.hosts.contains(domain) || hosts.contains(domain) => drop(name),
            Ok(name) if !name.is_private() && (has_dns || !name.is_wildcard()) => {
                hosts.push(domain.clone());
            }
            _ => remarks.push(format!(
                "not translated: a certificate for {domain}; a public name belongs under \
                 `tls.hosts`, and a wildcard takes `tls.dns`"
            )),
        }
    }
    if !hosts.is_empty() {
        let why = "beyond the hosts of routes";
        tls.keys
            .push(("hosts".to_owned(), flow_list(&hosts), why.to_owned()));
        tls.hosts.extend(hosts);
    }
}

/// Hosts of routes that a public authority certifies, each once.
fn public_hosts(services: &[DraftService]) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for routes in services.iter().filter_map(|service| service.flow("routes")) {
        let Ok(Value::Sequence(routes)) = serde_yaml::from_str(routes) else {
            continue;
        };
        for host in routes.iter().filter_map(|route| route.get("host")) {
            let Some(host) = host.as_str() else { continue };
            let name = host.parse::<CertName>();
            let is_public = name.is_ok_and(|it| !it.is_private() && !matches!(it, CertName::Ip(_)));
            if is_public && !hosts.iter().any(|known| known == host) {
                hosts.push(host.to_owned());
            }
        }
    }
    hosts
}
