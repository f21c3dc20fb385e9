//! Stops of replicas that are sick, drained or no longer wanted.

use super::action::{Action, Plan};
use super::input::{Condition, Input, ReplicaInput};
use super::reason::Reason;
use super::targets::{Targets, why_unwanted};
use crate::service::replica::Ailment;
use crate::service::spec::Slot;
use crate::service::time::Moment;
use std::collections::BTreeSet;
use std::time::Duration;

/// Time of a sick replica between SIGTERM and SIGKILL: its port is needed, and it has just failed
/// to answer its health check.
pub const SICK_GRACE: Duration = Duration::from_millis(500);

pub(super) fn stop_sick_or_drained(input: &Input<'_>, targets: &Targets, plan: &mut Plan) {
    for replica in input.replicas {
        let (id, slot) = (replica.id.clone(), replica.slot);
        match &replica.condition {
            Condition::Sick(ailment) => plan.actions.push(Action::Stop {
                id,
                slot,
                grace: sick_grace(input, ailment),
                because: Reason::Ailing(ailment.clone()),
            }),
            Condition::StopFailed => plan.actions.push(Action::Stop {
                id,
                slot,
                grace: input.stop_grace_period,
                because: Reason::StopFailed,
            }),
            Condition::Stuck { why, again_at } => {
                retry_removal(input, replica, why, *again_at, plan)
            }
            // A start that nobody waits for any more has no requests to finish.
            Condition::Starting
                if !targets.keeps(replica) && !may_be_ready_first(input, targets, replica) =>
            {
                plan.actions.push(Action::Stop {
                    id,
                    slot,
                    grace: input.stop_grace_period,
                    because: why_unwanted(input, targets, replica),
                });
            }
            Condition::Draining { .. } if targets.keeps(replica) => {
                plan.actions.push(Action::Return {
                    id,
                    slot,
                    because: Reason::BelowWanted {
                        wanted: targets.wanted,
                    },
                });
            }
            Condition::Draining { since, in_flight } => {
                finish_draining(input, replica, *since, *in_flight, plan);
            }
            Condition::Resumed { since, in_flight }
                if !targets.keeps(replica) && !may_be_ready_first(input, targets, replica) =>
            {
                finish_draining(input, replica, *since, *in_flight, plan);
            }
            Condition::Asleep { settled: true, .. } if targets.keeps(replica) => {
                plan.actions.push(Action::Resume {
                    id,
                    slot,
                    because: Reason::BelowWanted {
                        wanted: targets.wanted,
                    },
                });
            }
            Condition::Asleep {
                settled: true,
                in_flight: 1..,
            } => resume_to_finish(replica, plan),
            // Nothing is in flight, and no replacement needs a stand-in.
            Condition::Asleep { settled: true, .. } => plan.actions.push(Action::Stop {
                id,
                slot,
                grace: input.stop_grace_period,
                because: why_unwanted(input, targets, replica),
            }),
            Condition::Starting
            | Condition::Resumed { .. }
            | Condition::Ready
            | Condition::Unwell { .. }
            | Condition::Asleep { settled: false, .. }
            | Condition::Stopping => {}
        }
    }
}

/// Repeats the removal of a container that holds a port, and notes the obstacle.
pub(super) fn retry_removal(
    input: &Input<'_>,
    replica: &ReplicaInput,
    why: &str,
    again_at: Option<Moment>,
    plan: &mut Plan,
) {
    plan.waits(Reason::CannotRemove {
        slot: replica.slot,
        why: why.to_owned(),
        left: again_at
            .filter(|at| *at > input.now)
            .map(|at| Reason::left(at, input.now)),
    });
    match again_at {
        Some(at) if at <= input.now => plan.actions.push(Action::Stop {
            id: replica.id.clone(),
            slot: replica.slot,
            // The signal was sent before.
            grace: SICK_GRACE.min(input.stop_grace_period),
            because: Reason::StopFailed,
        }),
        Some(at) => plan.wake_at(at),
        None => {}
    }
}

/// Zero for a replica that somebody paused: a frozen process does not receive SIGTERM.
pub(super) fn sick_grace(input: &Input<'_>, ailment: &Ailment) -> Duration {
    match ailment {
        Ailment::Paused => Duration::ZERO,
        _ => SICK_GRACE.min(input.stop_grace_period),
    }
}

/// Resumes a replica that somebody paused with requests inside: a frozen one cannot finish them.
pub(super) fn resume_to_finish(replica: &ReplicaInput, plan: &mut Plan) {
    if let Condition::Asleep { in_flight, .. } = replica.condition {
        plan.actions.push(Action::Resume {
            id: replica.id.clone(),
            slot: replica.slot,
            because: Reason::PausedInUse { in_flight },
        });
    }
}

/// Stops a draining replica once it is empty, or its time is over.
pub(super) fn finish_draining(
    input: &Input<'_>,
    replica: &ReplicaInput,
    since: Moment,
    in_flight: u64,
    plan: &mut Plan,
) {
    let deadline = since + input.stop_grace_period;
    let because = if in_flight == 0 {
        Reason::Empty
    } else if input.now >= deadline {
        Reason::Overdue {
            in_flight,
            after: input.stop_grace_period,
        }
    } else {
        plan.wake_at(deadline);
        plan.waits(Reason::WaitsForDrain {
            slot: replica.slot,
            in_flight,
            left: Reason::left(deadline, input.now),
        });
        return;
    };
    plan.actions.push(Action::Stop {
        id: replica.id.clone(),
        slot: replica.slot,
        grace: input.stop_grace_period,
        because,
    });
}

/// Stops replicas that fail their health check. Several failures at once may have a cause that no
/// replacement cures, such as a database that is away: unless others stay well for as long as a
/// common cause takes to show, one is replaced at a time. The rest wait, and may recover.
pub(super) fn stop_unwell(input: &Input<'_>, targets: &Targets, plan: &mut Plan) {
    let mut unwell: Vec<(Moment, &ReplicaInput, &Ailment)> = input
        .replicas
        .iter()
        .filter_map(|replica| match &replica.condition {
            Condition::Unwell { since, ailment } => Some((*since, replica, ailment)),
            _ => None,
        })
        .collect();
    unwell.sort_by_key(|(since, replica, _)| (*since, replica.slot));
    if unwell.is_empty() {
        return;
    }
    // Slots without a ready or an unwell replica are being replaced.
    let sits = |replica: &&ReplicaInput| {
        matches!(
            replica.condition,
            Condition::Ready | Condition::Unwell { .. }
        )
    };
    let seats = input.replicas.iter().filter(sits);
    let seats: BTreeSet<Slot> = seats.map(|replica| replica.slot).collect();
    let regular = targets.slots.difference(&targets.surge);
    let mut under_way = regular.filter(|slot| !seats.contains(slot)).count();
    let ready = input.ready();
    let held_back = input.backoff.until(input.now);
    for (since, replica, ailment) in unwell {
        let shown = since + input.check_round;
        let alone = ready > 0 && input.now >= shown;
        let is_next = under_way == 0 && held_back.is_none();
        if !targets.slots.contains(&replica.slot) || alone || is_next {
            under_way += 1;
            plan.actions.push(Action::Stop {
                id: replica.id.clone(),
                slot: replica.slot,
                grace: sick_grace(input, ailment),
                because: Reason::Ailing(ailment.clone()),
            });
            continue;
        }
        if shown > input.now {
            plan.wake_at(shown);
        }
        if let Some(until) = held_back {
            plan.wake_at(until);
        }
        plan.waits(Reason::WaitsForOthers { slot: replica.slot });
    }
}

/// Whether a starting replica is spared because too few are ready: one that went ahead of a roll
/// whose last old replica has just died, or the only old one, in its slot.
fn may_be_ready_first(input: &Input<'_>, targets: &Targets, replica: &ReplicaInput) -> bool {
    let in_place = replica.current || targets.slots.contains(&replica.slot);
    in_place && input.ready() < targets.wanted
}
