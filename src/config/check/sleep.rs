//! When a service that nobody asks for sleeps, and what clients see meanwhile.

use super::value::{Fault, count, duration, maybe_zero_duration};
use crate::config::error::At;
use crate::config::raw::{Scalar, Scale};
use crate::service::spec::SleepTerms;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long replicas stay paused unless said otherwise.
const STOP_AFTER: Duration = Duration::from_secs(10 * 60);

/// `scale.min`, which may be 0 where the service may sleep, and when it does. The outer `None`:
/// there was a problem.
pub fn least(
    at: &At<'_>,
    raw: &Scale,
    default: u32,
    range: RangeInclusive<u32>,
) -> (Option<u32>, Option<Option<SleepTerms>>) {
    let typed = raw.idle_timeout.as_ref();
    let may_sleep = typed.is_some();
    let default = if may_sleep { 0 } else { default };
    let range = 0..=*range.end();
    let min = at.read("min", raw.min.as_ref(), default, count(range));
    let idle_timeout = at.optional("idle_timeout", typed, duration);
    let stop_after = at.read(
        "stop_after",
        raw.stop_after.as_ref(),
        STOP_AFTER,
        maybe_zero_duration,
    );
    if min == Some(0) && !may_sleep {
        at.key("min").error_hint(
            "is 0, and nothing says when a service that nobody asks for is to sleep",
            "add `idle_timeout: 5m`, or let it be at least 1",
        );
        return (None, None);
    }
    if let Some(min) = min.filter(|min| *min > 0 && may_sleep) {
        at.error_on(
            &["min", "idle_timeout"],
            format!("`min` is {min}, so it never sleeps, and `idle_timeout` says when it does"),
            "let `min` be 0, or remove `idle_timeout`".to_owned(),
        );
        return (None, None);
    }
    if raw.stop_after.is_some() && !may_sleep {
        at.key("stop_after").error_hint(
            "says how long replicas stay paused, and nothing says when they are",
            "add `idle_timeout: 5m`, or remove it",
        );
        return (None, None);
    }
    let terms = match may_sleep {
        false => Some(None),
        true => idle_timeout
            .zip(stop_after)
            .map(|(idle_timeout, stop_after)| {
                Some(SleepTerms {
                    idle_timeout,
                    stop_after,
                })
            }),
    };
    (min, terms.filter(|_| stop_after.is_some()))
}

/// `true` or `false`.
pub fn waiting_page(at: &At<'_>, typed: Option<&Scalar>) -> Option<bool> {
    at.read("waiting_page", typed, false, |typed| match typed {
        Scalar::Bool(shown) => Ok(*shown),
        other => Err(Fault::new(format!(
            "expected `true` or `false`, found `{other}`"
        ))),
    })
}
