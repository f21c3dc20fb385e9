//! The replicas of a service that sleeps: paused, then stopped, and none started.

use super::action::{Action, Plan};
use super::input::{Condition, Input};
use super::reason::Reason;
use super::rest::Depth;
use super::start::has_image;
use super::stop::{finish_draining, resume_to_finish, retry_removal, sick_grace};

/// Pauses or stops what there is, and starts nothing.
pub(super) fn put_to_sleep(input: &Input<'_>, plan: &mut Plan) {
    let (idle, stop_at) = match input.depth {
        Depth::Awake => return,
        Depth::Paused { idle, stop_at } => (idle, Some(stop_at)),
        Depth::Stopped { idle } => (idle, None),
    };
    // A request that wakes it should not have to wait for a pull.
    if input.backoff.until(input.now).is_none() {
        has_image(input, input.first_slot, Reason::Idle { idle }, plan);
    }
    let mut paused = 0;
    for replica in input.replicas {
        let (id, slot) = (replica.id.clone(), replica.slot);
        let may_stay = replica.current && stop_at.is_some();
        let because = match replica.current {
            true => Reason::Idle { idle },
            false => Reason::Outdated,
        };
        let grace = input.stop_grace_period;
        let stop = |grace, because| Action::Stop {
            id: id.clone(),
            slot,
            grace,
            because,
        };
        match &replica.condition {
            Condition::Sick(ailment) | Condition::Unwell { ailment, .. } => {
                let because = Reason::Ailing(ailment.clone());
                plan.actions.push(stop(sick_grace(input, ailment), because));
            }
            Condition::StopFailed => plan.actions.push(stop(grace, Reason::StopFailed)),
            Condition::Stuck { why, again_at } => {
                retry_removal(input, replica, why, *again_at, plan);
            }
            Condition::Draining { since, in_flight } => {
                finish_draining(input, replica, *since, *in_flight, plan);
            }
            Condition::Ready if may_stay => plan.actions.push(Action::Pause {
                id: id.clone(),
                slot,
                because,
            }),
            Condition::Ready => plan.actions.push(Action::Drain {
                id: id.clone(),
                slot,
                because,
            }),
            Condition::Asleep {
                settled: true,
                in_flight: 1..,
            } => resume_to_finish(replica, plan),
            Condition::Asleep { .. } if may_stay => paused += 1,
            // Paused as soon as its health check is good.
            Condition::Starting | Condition::Resumed { .. } if may_stay => {}
            Condition::Resumed { since, in_flight } => {
                finish_draining(input, replica, *since, *in_flight, plan);
            }
            Condition::Starting | Condition::Asleep { settled: true, .. } => {
                plan.actions.push(stop(grace, because));
            }
            Condition::Asleep { settled: false, .. } | Condition::Stopping => {}
        }
    }
    if let Some(at) = stop_at {
        plan.wake_at(at);
        if paused > 0 {
            plan.waits(Reason::StopsWhenIdle {
                paused,
                left: Reason::left(at, input.now),
            });
        }
    }
}
