//! The requests that a service claims.

use super::host::host_of;
use super::value::ValueError;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::service::spec::RouteSpec;
use serde::Deserialize;
use serde_yaml::Value;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteKeys {
    pub host: Option<Scalar>,
    pub path: Option<Scalar>,
    pub encoded_slashes: Option<Scalar>,
}

impl Shape for RouteKeys {}

/// The claims of a service; `None` when one is wrong, because then they are not all known.
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
    let keys: RouteKeys = at.shape(value);
    let slashes = keys.encoded_slashes.as_ref();
    let is_typed = keys.host.is_some() || keys.path.is_some() || slashes.is_some();
    let host = at.read("host", keys.host.as_ref(), None, |host| {
        host_of(host).map(Some)
    });
    let path = at.read("path", keys.path.as_ref(), "/".to_owned(), path_of);
    let keeps_encoded_slashes = at.read("encoded_slashes", slashes, false, keeps_encoded_slashes);
    // Without a key that fits there is nothing to claim; what did not fit is reported.
    is_typed.then_some(RouteSpec {
        host: host?,
        path: path?,
        keeps_encoded_slashes: keeps_encoded_slashes?,
    })
}

fn keeps_encoded_slashes(typed: &Scalar) -> Result<bool, ValueError> {
    match typed.to_string().as_str() {
        "keep" => Ok(true),
        "refuse" => Ok(false),
        other => Err(ValueError::hint(
            format!("expected `keep` or `refuse`, found `{other}`"),
            "with `keep`, `%2F` in a path reaches the service unchanged",
        )),
    }
}

fn path_of(typed: &Scalar) -> Result<String, ValueError> {
    let path = typed.to_string();
    let message = format!("expected a path, found `{path}`");
    if !path.starts_with('/') {
        let hint = format!("begin with a slash: `/{path}`");
        return Err(ValueError::hint(message, hint));
    }
    if path.contains(['?', '#']) {
        let hint = "leave the query out: routes look at the path only";
        return Err(ValueError::hint(message, hint));
    }
    if path.contains('*') {
        let hint = "leave the `*` out: a path claims everything below it";
        return Err(ValueError::hint(message, hint));
    }
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    let mut segments = path.split('/');
    if path.contains(is_odd) || segments.any(|segment| matches!(segment, "." | "..")) {
        return Err(ValueError::new(message));
    }
    if path.contains("//") {
        let hint = "one slash is enough";
        return Err(ValueError::hint(message, hint));
    }
    Ok(match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    })
}
