//! How replicas of an old template are replaced.

use super::service::mapping;
use super::value::{Fault, count, duration, maybe_zero_duration, one_of};
use crate::config::error::At;
use crate::config::raw::{self, Scalar};
use crate::service::spec::{FailureAction, Order, Pull, Update};
use serde_yaml::Value;

const PARALLELISM_MAX: u32 = 1000;

/// `None` when there was a problem; every one is reported.
pub fn update(at: &At<'_>, typed: Option<Value>) -> Option<Update> {
    let at = at.key("update_config");
    let typed = mapping(&at, typed, "{ parallelism: 1, order: start-first }")?;
    let raw: raw::UpdateConfig = at.shape(Value::Mapping(typed));
    let default = Update::default();
    let parallelism = at.read(
        "parallelism",
        raw.parallelism.as_ref(),
        default.parallelism,
        count(0..=PARALLELISM_MAX),
    );
    let order = at.read(
        "order",
        raw.order.as_ref(),
        default.order,
        one_of(&[
            ("start-first", Order::StartFirst),
            ("stop-first", Order::StopFirst),
        ]),
    );
    let failure_action = at.read(
        "failure_action",
        raw.failure_action.as_ref(),
        default.failure_action,
        one_of(&[
            ("rollback", FailureAction::Rollback),
            ("pause", FailureAction::Pause),
            ("continue", FailureAction::Continue),
        ]),
    );
    let zero = maybe_zero_duration;
    let delay = at.read("delay", raw.delay.as_ref(), default.delay, zero);
    let monitor = at.read("monitor", raw.monitor.as_ref(), default.monitor, duration);
    let ratio = at.read(
        "max_failure_ratio",
        raw.max_failure_ratio.as_ref(),
        default.max_failure_ratio,
        ratio,
    );
    Some(Update {
        // As in Compose, zero is all of them.
        parallelism: match parallelism? {
            0 => PARALLELISM_MAX,
            some => some,
        },
        order: order?,
        delay: delay?,
        monitor: monitor?,
        failure_action: failure_action?,
        max_failure_ratio: ratio?,
    })
}

pub fn pull(at: &At<'_>, typed: Option<&Scalar>) -> Option<Pull> {
    let known = one_of(&[("always", Pull::Always), ("missing", Pull::Missing)]);
    at.read("pull", typed, Pull::Missing, known)
}

fn ratio(typed: &Scalar) -> Result<f64, Fault> {
    let number = match typed {
        Scalar::Integer(number) => Some(*number as f64),
        Scalar::Number(number) => Some(*number),
        Scalar::Text(text) => text.trim().parse().ok(),
        Scalar::Bool(_) => None,
    };
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| Fault::new(format!("expected a number from 0 to 1, found `{typed}`")))
}
