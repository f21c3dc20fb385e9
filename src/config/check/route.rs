//! What a service claims of the requests, and that no two claim the same.

use super::service::Outline;
use super::value::Fault;
use crate::config::error::At;
use crate::config::raw::{self, Scalar};
use crate::service::spec::{RouteSpec, ServiceName};
use serde_yaml::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// `None` when one of them was wrong, for then it is not known what the service claims.
pub fn routes(at: &At<'_>, typed: Vec<Value>) -> Option<Vec<RouteSpec>> {
    let one = |(index, value)| route(&at.index(index), value);
    let routes: Vec<_> = typed.into_iter().enumerate().map(one).collect();
    routes.into_iter().collect()
}

fn route(at: &At<'_>, value: Value) -> Option<RouteSpec> {
    if let Value::String(text) = &value
        && text.starts_with('/')
    {
        at.error_hint(
            format!("expected a mapping, found `{text}`"),
            format!("write `{{ path: {text} }}`"),
        );
        return None;
    }
    if value.is_null() || value.as_mapping().is_some_and(|mapping| mapping.is_empty()) {
        at.error_hint(
            "claims nothing",
            "give it a `host`, a `path` or both; leave `routes` out to claim everything",
        );
        return None;
    }
    let raw: raw::Route = at.shape(value);
    let slashes = raw.encoded_slashes.as_ref();
    let is_typed = raw.host.is_some() || raw.path.is_some() || slashes.is_some();
    let host = at.read("host", raw.host.as_ref(), None, |host| {
        host_of(host).map(Some)
    });
    let path = at.read("path", raw.path.as_ref(), "/".to_owned(), path_of);
    let keeps_encoded_slashes = at.read("encoded_slashes", slashes, false, keeps_encoded_slashes);
    // Without a key that fits there is nothing to claim; what did not fit is reported.
    is_typed.then_some(RouteSpec {
        host: host?,
        path: path?,
        keeps_encoded_slashes: keeps_encoded_slashes?,
    })
}

fn keeps_encoded_slashes(typed: &Scalar) -> Result<bool, Fault> {
    match typed.to_string().as_str() {
        "keep" => Ok(true),
        "refuse" => Ok(false),
        other => Err(Fault::hint(
            format!("expected `keep` or `refuse`, found `{other}`"),
            "with `keep`, `%2F` in a path goes to the service as it is",
        )),
    }
}

pub fn host_of(typed: &Scalar) -> Result<String, Fault> {
    let typed = typed.to_string();
    let message = format!("expected a host name, found `{typed}`");
    let host = typed.to_ascii_lowercase();
    if let Some((_, rest)) = host.split_once("://") {
        let hint = format!("leave the scheme out: `{rest}`");
        return Err(Fault::hint(message, hint));
    }
    if let Some((host, path)) = host.split_once('/') {
        let hint = format!("write `host: {host}` and `path: /{path}`");
        return Err(Fault::hint(message, hint));
    }
    if let Some((host, _)) = host.split_once(':') {
        let hint = format!("leave the port out: `{host}`");
        return Err(Fault::hint(message, hint));
    }
    if host == "*" {
        let hint = "leave `host` out to claim every host";
        return Err(Fault::hint(message, hint));
    }
    // A trailing dot names the root, which is where every host name ends.
    let host = host.strip_suffix('.').unwrap_or(&host);
    let is_label = |label: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_plain)
    };
    let labels = host.strip_prefix("*.").unwrap_or(host);
    if labels.contains('*') {
        let hint = "`*` stands for the first labels only, as in `*.example.com`";
        return Err(Fault::hint(message, hint));
    }
    if host.len() > 253 || !labels.split('.').all(is_label) {
        return Err(Fault::new(message));
    }
    Ok(host.to_owned())
}

fn path_of(typed: &Scalar) -> Result<String, Fault> {
    let path = typed.to_string();
    let message = format!("expected a path, found `{path}`");
    if !path.starts_with('/') {
        let hint = format!("begin with a slash: `/{path}`");
        return Err(Fault::hint(message, hint));
    }
    if path.contains(['?', '#']) {
        let hint = "leave the query out: routes look at the path only";
        return Err(Fault::hint(message, hint));
    }
    if path.contains('*') {
        let hint = "leave the `*` out: a path claims everything below it";
        return Err(Fault::hint(message, hint));
    }
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    let mut segments = path.split('/');
    if path.contains(is_odd) || segments.any(|segment| matches!(segment, "." | "..")) {
        return Err(Fault::new(message));
    }
    if path.contains("//") {
        let hint = "one slash is enough";
        return Err(Fault::hint(message, hint));
    }
    Ok(match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    })
}

/// Reports what two services claim, and what one claims twice.
pub fn conflicts(at: &At<'_>, services: &[Outline]) {
    let everything = RouteSpec {
        host: None,
        path: "/".to_owned(),
        keeps_encoded_slashes: false,
    };
    let mut owners: HashMap<(Option<&str>, &str), (&ServiceName, bool)> = HashMap::new();
    for Outline { name, routes, .. } in services {
        let Some(routes) = routes else {
            continue;
        };
        let service = at.key(name.as_str());
        let is_open = routes.is_empty();
        let claims = if is_open {
            std::slice::from_ref(&everything)
        } else {
            routes
        };
        for (index, claim) in claims.iter().enumerate() {
            let (owner, owner_is_open) = match owners.entry((claim.host.as_deref(), &claim.path)) {
                Entry::Vacant(free) => {
                    free.insert((name, is_open));
                    continue;
                }
                Entry::Occupied(taken) => *taken.get(),
            };
            if is_open && owner_is_open {
                service.error_hint(
                    format!("neither this nor `{owner}` has `routes`: both claim every request"),
                    "give at least one of them `routes`, as in `routes: [{ path: /api }]`",
                );
            } else if is_open {
                service.error_hint(
                    format!("has no `routes`, and `{owner}` claims every request already"),
                    "give it `routes`, as in `routes: [{ path: /api }]`",
                );
            } else {
                let at = service.key("routes").index(index);
                let who = match owner == name {
                    true => "this service".to_owned(),
                    false => format!("`{owner}`"),
                };
                at.error_hint(
                    format!("`{claim}` is claimed by {who} already"),
                    "give one of the two another `host` or `path`",
                );
            }
        }
    }
}
