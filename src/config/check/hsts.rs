//! `Strict-Transport-Security`, which browsers remember and nobody can take back.

use super::value::{ValueError, boolean};
use crate::certs::settings::Hsts;
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::{Shape, what};
use serde::Deserialize;
use serde_yaml::Value;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MAX_AGE_MAX: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HstsKeys {
    pub max_age: Option<Scalar>,
    pub include_subdomains: Option<Scalar>,
    pub preload: Option<Scalar>,
}

impl Shape for HstsKeys {}

/// The header; the outer `None` stands for a problem, the inner one for `off`.
pub fn hsts(at: &At<'_>, typed: Option<Value>) -> Option<Option<Hsts>> {
    let value = match typed {
        None | Some(Value::Bool(false)) => return Some(None),
        Some(Value::String(text)) if text == "off" => return Some(None),
        Some(value @ Value::Mapping(_)) => value,
        Some(other) => {
            at.error_hint(
                format!("expected a mapping, found {}", what(&other)),
                "write `{ max_age: 1y }` or `off`",
            );
            return None;
        }
    };
    let keys: HstsKeys = at.shape(value);
    let max_age = at.read("max_age", keys.max_age.as_ref(), YEAR, max_age);
    let flag = |key, typed: &Option<Scalar>| at.read(key, typed.as_ref(), false, boolean);
    let include_subdomains = flag("include_subdomains", &keys.include_subdomains);
    let preload = flag("preload", &keys.preload);
    let hsts = Hsts {
        max_age: max_age?,
        include_subdomains: include_subdomains?,
        preload: preload?,
    };
    if hsts.preload && (hsts.max_age < YEAR || !hsts.include_subdomains) {
        at.key("preload").error_hint(
            "browsers' lists accept no less than a year, and all subdomains",
            "write `{ max_age: 1y, include_subdomains: true, preload: true }`",
        );
    }
    Some(Some(hsts))
}

fn max_age(typed: &Scalar) -> Result<Duration, ValueError> {
    let shown = typed.to_string();
    let parsed = humantime::parse_duration(&shown).map_err(|_| {
        ValueError::hint(
            format!("expected a duration, found `{shown}`"),
            "write a number and a unit, as in `30days` or `1y`",
        )
    })?;
    match parsed {
        Duration::ZERO => Ok(parsed),
        _ if (DAY..=MAX_AGE_MAX).contains(&parsed) => Ok(parsed),
        _ => Err(ValueError::hint(
            format!("expected `1day` to `10years`, found `{shown}`"),
            "`0s` makes browsers forget the header",
        )),
    }
}
