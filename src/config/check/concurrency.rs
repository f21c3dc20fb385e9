//! Requests that a replica has at once, also as the target of a scaling policy.

use super::value::{ValueError, count};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use serde_yaml::{Mapping, Value};

const CONCURRENCY_MAX: u32 = 100_000;

/// The limit; the inner `None`: no limit.
pub fn container_concurrency(at: &At<'_>, typed: Option<&Scalar>) -> Option<Option<u32>> {
    const KEY: &str = "container_concurrency";
    let one_or_more = count(1..=CONCURRENCY_MAX);
    let limit = |typed: &Scalar| match typed {
        Scalar::Integer(0) => Err(ValueError::hint(
            "with `0`, no request could be answered",
            "leave the key out for no limit",
        )),
        typed => one_or_more(typed),
    };
    match typed {
        None => Some(None),
        Some(_) => at.optional(KEY, typed, limit).map(Some),
    }
}

/// Makes the limit the default target of the policy `concurrency`, and reports a higher target.
/// `implied` is the policy of a `scale` that names none.
pub fn as_target(at: &At<'_>, scale: &mut Mapping, limit: Option<u32>, implied: &str) {
    let Some(limit) = limit else { return };
    let policy = match (scale.get("policy"), scale.get("policies")) {
        (None | Some(Value::Null), None | Some(Value::Null)) => Some(implied),
        (policy, _) => policy.and_then(Value::as_str),
    };
    if policy != Some("concurrency") {
        return;
    }
    match scale.get("target").and_then(Value::as_u64) {
        Some(target) if target > u64::from(limit) => at.key("target").error_hint(
            format!("is {target}, but a replica has {limit} requests at most"),
            "lower it, or raise `container_concurrency`",
        ),
        Some(_) => {}
        None if scale.contains_key("target") => {}
        None => drop(scale.insert("target".into(), limit.into())),
    }
}
