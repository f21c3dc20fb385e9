//! Starts of the replicas that are missing.

use super::action::{Action, Plan};
use super::input::{ImageStatus, Input, ReplicaInput};
use super::reason::Reason;
use super::targets::Targets;
use crate::service::spec::Slot;
use std::collections::BTreeSet;

/// While so many starts of a service hang, another one would hang as well.
const HANGING_MAX: usize = 2;

pub(super) fn start_missing(input: &Input<'_>, targets: &Targets, plan: &mut Plan) {
    let starting = |replica: &&ReplicaInput| replica.condition.is_starting();
    let pending = input.starting.difference(&input.hanging).count();
    let under_way = pending + input.replicas.iter().filter(starting).count();
    let mut left = input.starts_left;
    if input.reserve && under_way == 0 && input.ready() == 0 {
        left = left.max(1);
    }
    if input.hanging.len() >= HANGING_MAX {
        left = 0;
    }
    if input.backoff.is_in_a_row() {
        // One start is enough to find out whether the cause of the failures is gone.
        left = left.min(1u32.saturating_sub(under_way as u32));
    }
    let held: BTreeSet<Slot> = input.replicas.iter().map(|replica| replica.slot).collect();
    for &slot in &targets.slots {
        if held.contains(&slot) || input.starting.contains(&slot) {
            continue;
        }
        if let Some(until) = input.backoff.until(input.now) {
            plan.wake_at(until);
            plan.waits(Reason::WaitsForBackoff {
                failures: input.backoff.failures(),
                left: Reason::left(until, input.now),
            });
            return;
        }
        if !has_image(input, slot, targets.is_wanted(), plan) {
            return;
        }
        if left == 0 {
            plan.waits(Reason::WaitsForStarts);
            return;
        }
        left -= 1;
        let because = if targets.surge.contains(&slot) {
            Reason::Surge {
                outdated: targets.outdated,
            }
        } else {
            Reason::BelowWanted {
                wanted: targets.wanted,
            }
        };
        plan.actions.push(Action::Start { slot, because });
    }
}

/// Whether a start on this slot would find its image; if not, has it fetched.
pub(super) fn has_image(input: &Input<'_>, slot: Slot, because: Reason, plan: &mut Plan) -> bool {
    match &input.image {
        ImageStatus::Here => return true,
        ImageStatus::Unknown => {
            let is_fetch = |action: &Action| matches!(action, Action::FetchImage { .. });
            if !plan.actions.iter().any(is_fetch) {
                plan.actions.push(Action::FetchImage { slot, because });
            }
        }
        ImageStatus::Coming { name, since } => plan.waits(Reason::Pulling {
            image: name.clone(),
            since: input.now.since(*since),
        }),
    }
    false
}
