//! Where replicas should be: the lowest free slots, and more of them while old replicas are
//! replaced.

use super::action::Plan;
use super::input::{Condition, Input, ReplicaInput};
use super::reason::Reason;
use crate::service::spec::{LAST_PORT, Slot, UpdateOrder};
use std::collections::BTreeSet;

/// The slots that should hold a replica.
pub(super) struct Targets {
    pub(super) slots: BTreeSet<Slot>,
    /// Of these, the ones that are there only while old replicas are replaced.
    pub(super) surge: BTreeSet<Slot>,
    pub(super) wanted: u32,
    pub(super) outdated: u32,
    /// How many may be missing while old replicas are replaced.
    pub(super) missing: u32,
}

impl Targets {
    pub(super) fn choose(input: &Input<'_>, plan: &mut Plan) -> Targets {
        let wanted = input.wanted.unwrap_or(0);
        let taken = taken(input);
        let mut free = (input.first_slot..=LAST_PORT).filter(|slot| !taken.contains(slot));
        let mut slots: BTreeSet<Slot> = free.by_ref().take(wanted as usize).collect();
        if (slots.len() as u32) < wanted {
            plan.waits(Reason::NoPort {
                first: input.first_slot,
                last: LAST_PORT,
            });
        }
        let outdated = input
            .replicas
            .iter()
            .filter(|replica| !replica.current && slots.contains(&replica.slot))
            .map(|replica| &replica.condition)
            .filter(|condition| condition.is_starting() || **condition == Condition::Ready)
            .count() as u32;
        let batch = outdated.min(input.roll.parallelism);
        let surge: BTreeSet<Slot> = match input.roll.order {
            UpdateOrder::StartFirst => free.take(batch as usize).collect(),
            UpdateOrder::StopFirst => BTreeSet::new(),
        };
        let missing = match input.roll.order {
            UpdateOrder::StartFirst if surge.len() as u32 == batch => 0,
            // Where no port is left to start ahead, an old one has to make room.
            _ => input.roll.parallelism.min(wanted),
        };
        slots.extend(&surge);
        Targets {
            slots,
            surge,
            wanted,
            outdated,
            missing,
        }
    }

    pub(super) fn is_wanted(&self) -> Reason {
        Reason::BelowWanted {
            wanted: self.wanted,
        }
    }

    pub(super) fn keeps(&self, replica: &ReplicaInput) -> bool {
        replica.current && self.slots.contains(&replica.slot)
    }
}

/// Ports on which no replica can be made.
fn taken(input: &Input<'_>) -> BTreeSet<Slot> {
    let stuck = |replica: &&ReplicaInput| matches!(replica.condition, Condition::Stuck { .. });
    let stuck = input.replicas.iter().filter(stuck);
    let mut taken = input.taken.clone();
    taken.extend(stuck.map(|replica| replica.slot));
    // A start that may still return keeps its place, as long as others serve.
    if input.ready() == 0 {
        taken.extend(&input.hanging);
    }
    taken
}

pub(super) fn why_unwanted(input: &Input<'_>, targets: &Targets, replica: &ReplicaInput) -> Reason {
    if input.wanted.is_none() {
        Reason::Removed
    } else if targets.slots.contains(&replica.slot) {
        Reason::Outdated
    } else {
        Reason::AboveWanted {
            wanted: targets.wanted,
        }
    }
}
