//! Balancing policies.

use super::value::{ValueError, maybe_zero_duration};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use crate::service::spec::{Balance, HashBy};
use http::HeaderName;
use serde::Deserialize;
use serde_yaml::Value;
use std::sync::Arc;
use std::time::Duration;

const EXPECTED: &str = "expected `round_robin`, `least_request` or `{ hash: … }`";
const HASHES: &str = "as in `{ hash: address }`, `{ hash: { header: x-user } }` or \
                      `{ hash: { cookie: session } }`";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalanceKeys {
    /// `address`, or a mapping with a header or a cookie.
    pub hash: Option<Value>,
}

impl Shape for BalanceKeys {
    fn elsewhere(key: &str) -> Option<&'static str> {
        match key {
            "header" | "cookie" => Some("move it under `hash`, as in `{ hash: { header: … } }`"),
            _ => None,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HashKeys {
    pub header: Option<Scalar>,
    pub cookie: Option<Scalar>,
}

impl Shape for HashKeys {}

/// The policy; `None` after a problem.
pub fn balance(at: &At<'_>, typed: Option<Value>) -> Option<Balance> {
    let typed = match typed {
        None => return Some(Balance::default()),
        Some(Value::String(word)) => match word.as_str() {
            "round_robin" => return Some(Balance::RoundRobin),
            "least_request" => return Some(Balance::LeastRequest),
            other => {
                at.error_hint(format!("{EXPECTED}, found `{other}`"), meant(other));
                return None;
            }
        },
        Some(typed @ Value::Mapping(_)) => typed,
        Some(other) => {
            at.error_hint(format!("{EXPECTED}, found {}", what(&other)), HASHES);
            return None;
        }
    };
    let keys: BalanceKeys = at.shape(typed);
    let at = at.key("hash");
    match keys.hash {
        Some(Value::String(word)) if word == "address" => Some(Balance::Hash(HashBy::Address)),
        Some(typed @ Value::Mapping(_)) => hash_by(&at, typed),
        found => {
            let found = found.as_ref().map_or_else(|| "nothing".to_owned(), what);
            at.error_hint(
                format!(
                    "expected `address`, `{{ header: … }}` or `{{ cookie: … }}`, found {found}"
                ),
                HASHES,
            );
            None
        }
    }
}

/// Hint for a name that other products use.
fn meant(word: &str) -> &'static str {
    match word {
        "roundrobin" | "rr" | "wrr" => "use `round_robin`",
        "leastconn" | "least_conn" | "least_requests" | "p2c" => "use `least_request`",
        "source" | "ip_hash" => "use `{ hash: address }`",
        _ => HASHES,
    }
}

fn hash_by(at: &At<'_>, typed: Value) -> Option<Balance> {
    let keys: HashKeys = at.shape(typed);
    let name = |typed: &Scalar| {
        let typed = typed.to_string();
        match HeaderName::try_from(&typed) {
            Ok(_) => Ok(typed),
            Err(_) => Err(ValueError::hint(
                format!("`{typed}` is no name of a header or a cookie"),
                "letters, digits and `-`, `_` or `.`",
            )),
        }
    };
    let header = at.optional("header", keys.header.as_ref(), name);
    let cookie = at.optional("cookie", keys.cookie.as_ref(), name);
    if keys.header.is_some() == keys.cookie.is_some() {
        at.error_hint("expected either a header or a cookie", HASHES);
        return None;
    }
    let header = header.map(|name| HashBy::Header(Arc::from(name.to_ascii_lowercase())));
    let by = header.or_else(|| cookie.map(|name| HashBy::Cookie(Arc::from(name))));
    by.map(Balance::Hash)
}

/// The time of a slow start, which does not go with hashing: a client that always gets the same
/// replica cannot get it slowly.
pub fn slow_start(
    at: &At<'_>,
    typed: Option<&Scalar>,
    balance: Option<&Balance>,
) -> Option<Duration> {
    let slow = at.read("slow_start", typed, Duration::ZERO, maybe_zero_duration)?;
    if !slow.is_zero() && matches!(balance, Some(Balance::Hash(_))) {
        at.key("slow_start").error_hint(
            "goes with `round_robin` and `least_request`, and this service hashes",
            "remove the one or the other",
        );
        return None;
    }
    Some(slow)
}
