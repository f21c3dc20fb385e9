//! Certificates that are ordered: where, for which names, and how they are proven ours.

use super::client_auth::names;
use super::dns::dns;
use super::value::{ValueError, addresses, port, text};
use crate::certs::settings::{
    AcmeSettings, Ca, ChallengeKind, ChallengePorts, DnsSettings, ExternalAccount, OnDemandSettings,
};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::config::suggestion::{did_you_mean, quoted};
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcmeKeys {
    pub email: Option<Scalar>,
    /// A name or URL, or a list of them.
    pub ca: Option<Value>,
    pub ca_root: Option<Scalar>,
    pub eab: Option<Mapping>,
    pub profile: Option<Scalar>,
    pub challenges: Option<Vec<Value>>,
    pub dns: Option<Mapping>,
    pub hosts: Option<Vec<Value>>,
    pub on_demand: Option<Mapping>,
    pub resolvers: Option<Vec<Value>>,
    pub challenge_ports: Option<Mapping>,
}

impl Shape for AcmeKeys {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EabKeys {
    pub key_id: Option<Scalar>,
    pub hmac_key_file: Option<Scalar>,
}

impl Shape for EabKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        (key == "hmac_key").then_some("write the key into a file, and its path here")
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OnDemandKeys {
    pub ask: Option<Scalar>,
}

impl Shape for OnDemandKeys {}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengePortKeys {
    pub http: Option<Scalar>,
    pub tls: Option<Scalar>,
}

impl Shape for ChallengePortKeys {}

/// Orders; `None` after a problem.
pub fn acme(at: &At<'_>, keys: AcmeKeys) -> Option<AcmeSettings> {
    let for_routes = keys.email.is_some() || keys.ca.is_some();
    let email = at.read("email", keys.email.as_ref(), None, |typed| {
        email(typed).map(Some)
    });
    let ca = authorities(&at.key("ca"), keys.ca);
    let ca_root = match &keys.ca_root {
        None => Some(None),
        typed => at
            .file("ca_root", typed.as_ref())
            .map(|(path, _)| Some(path)),
    };
    let eab = match keys.eab {
        None => Some(None),
        Some(typed) => eab(&at.key("eab"), typed).map(Some),
    };
    let profile = at.read("profile", keys.profile.as_ref(), None, |typed| {
        text(typed).map(Some)
    });
    let dns = match keys.dns {
        None => Some(None),
        Some(typed) => dns(&at.key("dns"), typed).map(Some),
    };
    let challenges = challenges(&at.key("challenges"), keys.challenges, &dns);
    let hosts = names(&at.key("hosts"), keys.hosts);
    let on_demand = match keys.on_demand {
        None => Some(None),
        Some(typed) => on_demand(&at.key("on_demand"), typed).map(Some),
    };
    let resolvers = keys.resolvers.unwrap_or_default();
    let resolvers = addresses(&at.key("resolvers"), &resolvers, |_, _| ());
    let challenge_ports = challenge_ports(&at.key("challenge_ports"), keys.challenge_ports);
    let settings = AcmeSettings {
        email: email?,
        for_routes,
        ca: ca?,
        ca_root: ca_root?,
        eab: eab?,
        profile: profile?,
        challenges: challenges?,
        dns: dns?,
        hosts: hosts?,
        on_demand: on_demand?,
        resolvers,
        challenge_ports: challenge_ports?,
    };
    let bound = [Ca::Google, Ca::ZeroSsl];
    if let Some(ca) = settings.ca.iter().find(|ca| bound.contains(ca))
        && settings.eab.is_none()
    {
        at.key("ca").error_hint(
            format!("`{ca}` opens accounts for its customers only"),
            "create a key there, and add `eab: { key_id: …, hmac_key_file: … }`",
        );
    }
    Some(settings)
}

fn email(typed: &Scalar) -> Result<String, ValueError> {
    let shown = typed.to_string();
    let is_plain = !shown.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',');
    match shown.split_once('@') {
        Some((name, host)) if is_plain && !name.is_empty() && host.contains('.') => Ok(shown),
        _ => Err(ValueError::hint(
            format!("expected an address for mail, found `{shown}`"),
            "as in `ops@example.com`; authorities refuse others",
        )),
    }
}

fn authorities(at: &At<'_>, typed: Option<Value>) -> Option<Vec<Ca>> {
    let list = match typed {
        None => return Some(vec![Ca::LetsEncrypt]),
        Some(Value::Sequence(list)) => list,
        Some(one) => return Some(vec![authority(at, &one)?]),
    };
    if list.is_empty() {
        at.error_hint("is empty", "leave it out for `letsencrypt`");
        return None;
    }
    let mut authorities = Vec::new();
    let mut are_right = true;
    for (index, value) in list.iter().enumerate() {
        let at = at.index(index);
        match authority(&at, value) {
            Some(ca) if authorities.contains(&ca) => at.error(format!("`{ca}` is listed twice")),
            Some(ca) => authorities.push(ca),
            None => are_right = false,
        }
    }
    are_right.then_some(authorities)
}

fn authority(at: &At<'_>, value: &Value) -> Option<Ca> {
    let typed = at.scalar(value)?.to_string();
    if let Some(ca) = Ca::NAMED.into_iter().find(|ca| ca.label() == typed) {
        return Some(ca);
    }
    if typed.starts_with("https://") && is_url(&typed) {
        return Some(Ca::Directory(typed));
    }
    let names = Ca::NAMED.iter().map(Ca::label);
    let message = format!("expected a certificate authority, found `{typed}`");
    let hint = match did_you_mean(&typed, names.clone()) {
        _ if typed.starts_with("http://") => "orders go over https only".to_owned(),
        Some(hint) => hint,
        None => format!("one of {}, or the https URL of a directory", quoted(names)),
    };
    at.error_hint(message, hint);
    None
}

fn is_url(typed: &str) -> bool {
    let parsed = typed.parse::<http::Uri>();
    parsed.is_ok_and(|url| url.host().is_some_and(|host| !host.is_empty()))
}

fn eab(at: &At<'_>, typed: Mapping) -> Option<ExternalAccount> {
    let keys: EabKeys = at.shape(Value::Mapping(typed));
    if keys.key_id.is_none() || keys.hmac_key_file.is_none() {
        at.error_hint(
            "needs both `key_id` and `hmac_key_file`",
            "the authority shows both when a key is created there",
        );
    }
    let key_id = at.optional("key_id", keys.key_id.as_ref(), text);
    let file = at.file("hmac_key_file", keys.hmac_key_file.as_ref());
    Some(ExternalAccount {
        key_id: key_id?,
        hmac_key_file: file?.0,
    })
}

fn challenge_ports(at: &At<'_>, typed: Option<Mapping>) -> Option<ChallengePorts> {
    let keys: ChallengePortKeys = at.shape(Value::Mapping(typed.unwrap_or_default()));
    let usual = ChallengePorts::default();
    let http = at.read("http", keys.http.as_ref(), usual.http, port);
    let tls = at.read("tls", keys.tls.as_ref(), usual.tls, port);
    Some(ChallengePorts {
        http: http?,
        tls: tls?,
    })
}

fn challenges(
    at: &At<'_>,
    typed: Option<Vec<Value>>,
    dns: &Option<Option<DnsSettings>>,
) -> Option<Vec<ChallengeKind>> {
    let Some(typed) = typed else {
        return Some(match dns {
            Some(Some(_)) => vec![ChallengeKind::Dns01],
            _ => vec![ChallengeKind::TlsAlpn01, ChallengeKind::Http01],
        });
    };
    let words = ChallengeKind::ALL.map(ChallengeKind::label);
    if typed.is_empty() {
        at.error_hint("is empty", format!("at least one of {}", quoted(words)));
        return None;
    }
    let mut kinds = Vec::new();
    let mut are_right = true;
    for (index, value) in typed.iter().enumerate() {
        let at = at.index(index);
        let Some(typed) = at.scalar(value).map(|typed| typed.to_string()) else {
            are_right = false;
            continue;
        };
        let found = ChallengeKind::ALL.into_iter();
        let found = found.into_iter().find(|kind| kind.label() == typed);
        match found {
            Some(kind) if kinds.contains(&kind) => at.error(format!("`{typed}` is listed twice")),
            Some(kind) => kinds.push(kind),
            None => {
                are_right = false;
                let hint = format!("one of {}", quoted(words));
                at.error_hint(format!("expected a challenge, found `{typed}`"), hint);
            }
        }
    }
    if kinds.contains(&ChallengeKind::Dns01) && matches!(dns, Some(None)) {
        at.error_hint(
            "`dns-01` needs to know where the DNS records are",
            "add `dns: { provider: …, … }`",
        );
    }
    are_right.then_some(kinds)
}

fn on_demand(at: &At<'_>, typed: Mapping) -> Option<OnDemandSettings> {
    let keys: OnDemandKeys = at.shape(Value::Mapping(typed));
    let Some(typed) = &keys.ask else {
        at.error_hint(
            "needs `ask`, or anybody could have certificates ordered for any name",
            "as in `{ ask: \"http://127.0.0.1:5555/allowed\" }`: a URL that answers 2xx for \
             names that are yours",
        );
        return None;
    };
    let ask = at.optional("ask", Some(typed), |typed| match typed.to_string() {
        url if url.starts_with("http://") && is_url(&url) => Ok(url),
        url => Err(ValueError::hint(
            format!("expected a URL, found `{url}`"),
            "as in `http://127.0.0.1:5555/allowed`; plain http, so keep it on this machine",
        )),
    })?;
    Some(OnDemandSettings { ask })
}
