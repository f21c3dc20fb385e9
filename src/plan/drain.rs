//! Planned stops: ready replicas that are too many or out of date leave rotation.

use super::action::{Action, Plan};
use super::input::{Condition, Input, ReplicaInput};
use super::reason::Reason;
use super::start::has_image;
use super::targets::{Targets, why_unwanted};

pub(super) fn drain_surplus_and_outdated(input: &Input<'_>, targets: &Targets, plan: &mut Plan) {
    let mut staying = input.ready();
    let mut leaving: Vec<&ReplicaInput> = input
        .replicas
        .iter()
        .filter(|replica| replica.condition == Condition::Ready && !targets.keeps(replica))
        .collect();
    // Surplus replicas leave before outdated ones; of each, the highest slot first.
    leaving.sort_by_key(|replica| {
        (
            targets.slots.contains(&replica.slot),
            std::cmp::Reverse(replica.slot),
        )
    });
    for replica in leaving {
        let because = why_unwanted(input, targets, replica);
        let is_old = because == Reason::Outdated;
        let least = targets.wanted - if is_old { targets.missing } else { 0 };
        if staying <= least {
            plan.waits(Reason::WaitsForReady {
                ready: staying,
                needed: least + 1,
            });
            return;
        }
        if let Some(until) = input.roll.not_before.filter(|at| is_old && *at > input.now) {
            plan.wake_at(until);
            plan.waits(Reason::Watches {
                left: Reason::left(until, input.now),
            });
            return;
        }
        // Where old ones make room for new ones, these must be able to start.
        if is_old
            && targets.missing > 0
            && !has_image(input, replica.slot, targets.is_wanted(), plan)
        {
            return;
        }
        staying -= 1;
        plan.actions.push(Action::Drain {
            id: replica.id.clone(),
            slot: replica.slot,
            because,
        });
    }
}
