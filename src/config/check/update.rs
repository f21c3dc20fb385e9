//! Updates: how replicas of an old version are replaced.

use super::value::{ValueError, count, duration, mapping, maybe_zero_duration, one_of};
use crate::config::report::At;
use crate::config::scalar::Scalar;
use crate::config::shape::Shape;
use crate::service::spec::{FailureAction, Update, UpdateOrder};
use serde::Deserialize;
use serde_yaml::Value;

const PARALLELISM_MAX: u32 = 1000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateKeys {
    pub parallelism: Option<Scalar>,
    pub order: Option<Scalar>,
    pub delay: Option<Scalar>,
    pub monitor: Option<Scalar>,
    pub failure_action: Option<Scalar>,
    pub max_failure_ratio: Option<Scalar>,
}

impl Shape for UpdateKeys {}

/// The rules of an update; `None` after a problem.
pub fn update(at: &At<'_>, typed: Option<Value>) -> Option<Update> {
    let at = at.key("update_config");
    let typed = mapping(&at, typed, "{ parallelism: 1, order: start-first }")?;
    let keys: UpdateKeys = at.shape(Value::Mapping(typed));
    let default = Update::default();
    let parallelism = at.read(
        "parallelism",
        keys.parallelism.as_ref(),
        default.parallelism,
        count(0..=PARALLELISM_MAX),
    );
    let order = at.read(
        "order",
        keys.order.as_ref(),
        default.order,
        one_of(&[
            ("start-first", UpdateOrder::StartFirst),
            ("stop-first", UpdateOrder::StopFirst),
        ]),
    );
    let failure_action = at.read(
        "failure_action",
        keys.failure_action.as_ref(),
        default.failure_action,
        one_of(&[
            ("rollback", FailureAction::Rollback),
            ("pause", FailureAction::Pause),
            ("continue", FailureAction::Continue),
        ]),
    );
    let zero = maybe_zero_duration;
    let delay = at.read("delay", keys.delay.as_ref(), default.delay, zero);
    let monitor = at.read("monitor", keys.monitor.as_ref(), default.monitor, duration);
    let ratio = at.read(
        "max_failure_ratio",
        keys.max_failure_ratio.as_ref(),
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

fn ratio(typed: &Scalar) -> Result<f64, ValueError> {
    let number = match typed {
        Scalar::Integer(number) => Some(*number as f64),
        Scalar::Number(number) => Some(*number),
        Scalar::Text(text) => text.trim().parse().ok(),
        Scalar::Bool(_) => None,
    };
    number
        .filter(|number| (0.0..=1.0).contains(number))
        .ok_or_else(|| ValueError::new(format!("expected a number from 0 to 1, found `{typed}`")))
}
