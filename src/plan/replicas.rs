//! Which replica starts, drains or stops next.
//!
//! The wanted slots are always the lowest free ones, so ports are stable, the highest goes first
//! and a sick replica is replaced in its place. One rule guards every planned stop: a ready
//! replica leaves only while at least as many as are wanted stay ready.

use super::backoff::Backoff;
use super::reason::Reason;
use super::rest::{Depth, put_to_sleep};
use crate::service::replica::{Ailment, ReplicaId};
use crate::service::spec::{LAST_PORT, Order, Slot};
use crate::service::time::Moment;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long a sick replica gets between SIGTERM and SIGKILL. Its port is needed, and whatever it
/// still had to say it would have said to the health check.
pub const SICK_GRACE: Duration = Duration::from_millis(500);

/// While so many starts of a service hang, another one would hang as well.
const HANGING_MAX: usize = 2;

/// A service as it is. Everything the decision depends on, and nothing else.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub replicas: &'a [Seen],
    /// Slots on which a start is under way that the engine does not show yet.
    pub starting: BTreeSet<Slot>,
    /// Of these, the ones whose start takes so long that it may never return.
    pub hanging: BTreeSet<Slot>,
    /// Whether a start would find the image.
    pub image: Image,
    /// Slots whose port belongs to somebody else.
    pub taken: BTreeSet<Slot>,
    pub first_slot: Slot,
    /// `None`: the service left the configuration.
    pub wanted: Option<u32>,
    /// Whether it sleeps; then none is wanted.
    pub depth: Depth,
    pub stop_grace_period: Duration,
    pub roll: Roll,
    /// By then, a cause that replicas have in common has shown on all of them.
    pub check_round: Duration,
    pub backoff: &'a Backoff,
    /// How many more starts the host may bear at once.
    pub starts_left: u32,
    /// One more start is possible for a service that has nothing ready and nothing on its way.
    pub reserve: bool,
    pub engine_up: bool,
    pub now: Moment,
}

/// The image that the next replica is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    Here,
    Unknown,
    /// Being looked for since then, which includes a pull.
    Coming {
        name: String,
        since: Moment,
    },
}

/// How replicas that are to be replaced make way for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// How many at a time.
    pub parallelism: u32,
    pub order: Order,
    /// None of them leaves before this.
    pub not_before: Option<Moment>,
}

/// One replica as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub id: ReplicaId,
    pub slot: Slot,
    /// Made from today's template, and not to be replaced for any other reason.
    pub current: bool,
    pub condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    Starting,
    Ready,
    Sick(Ailment),
    /// It runs, and fails its health check since then.
    Unwell {
        since: Moment,
        ailment: Ailment,
    },
    Draining {
        since: Moment,
        in_flight: u64,
    },
    /// Paused by us, or about to be, or about to run again; not before that has `settled` can
    /// anything be done with it.
    Asleep {
        settled: bool,
    },
    Stopping,
    /// It was told to stop, and nobody knows what became of that.
    StopFailed,
    /// Its removal failed again or hangs, so its port counts as taken.
    Stuck {
        why: String,
        /// `None`: a removal is under way.
        again_at: Option<Moment>,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub actions: Vec<Action>,
    /// Why things are as they are and what is waited for.
    pub because: Vec<Reason>,
    /// The next instant at which the plan could change by itself.
    pub wake: Option<Moment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Has the image pulled unless it is on the machine; a replica on the slot needs it.
    FetchImage { slot: Slot, because: Reason },
    /// Makes a replica on a free slot.
    Start { slot: Slot, because: Reason },
    /// Takes a ready replica out of rotation.
    Drain {
        id: ReplicaId,
        slot: Slot,
        because: Reason,
    },
    /// Puts a draining replica that is wanted again back into rotation.
    Return {
        id: ReplicaId,
        slot: Slot,
        because: Reason,
    },
    /// Freezes a ready replica that nobody asks for; what it has in memory stays.
    Pause {
        id: ReplicaId,
        slot: Slot,
        because: Reason,
    },
    /// Lets a paused replica run again.
    Resume {
        id: ReplicaId,
        slot: Slot,
        because: Reason,
    },
    /// SIGTERM, SIGKILL after `grace`, removed.
    Stop {
        id: ReplicaId,
        slot: Slot,
        grace: Duration,
        because: Reason,
    },
}

impl Plan {
    pub(super) fn waits(&mut self, because: Reason) {
        if !self.because.contains(&because) {
            self.because.push(because);
        }
    }

    /// Leaves out what would take a replica away from requests that this process knows nothing
    /// of. What is sick goes all the same.
    pub fn postpone_planned_stops(&mut self) {
        let before = self.actions.len();
        self.actions.retain(|action| match action {
            Action::FetchImage { .. }
            | Action::Start { .. }
            | Action::Return { .. }
            | Action::Resume { .. } => true,
            Action::Drain { .. } | Action::Pause { .. } => false,
            Action::Stop { because, .. } => matches!(because, Reason::Ailing(_)),
        });
        if self.actions.len() < before {
            self.waits(Reason::WaitsForPredecessor);
        }
    }

    pub(super) fn wake_at(&mut self, at: Moment) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

pub fn plan(input: &Input<'_>) -> Plan {
    let mut plan = Plan::default();
    if !input.engine_up {
        plan.waits(Reason::EngineDown);
        return plan;
    }
    if input.depth != Depth::Awake {
        put_to_sleep(input, &mut plan);
        return plan;
    }
    let targets = Targets::choose(input, &mut plan);
    stop_what_is_sick_or_drained(input, &targets, &mut plan);
    stop_what_is_unwell(input, &targets, &mut plan);
    drain_what_is_too_many_or_old(input, &targets, &mut plan);
    start_what_is_missing(input, &targets, &mut plan);
    plan
}

/// The slots that should hold a replica.
struct Targets {
    slots: BTreeSet<Slot>,
    /// Of these, the ones that are there only while old replicas are replaced.
    surge: BTreeSet<Slot>,
    wanted: u32,
    outdated: u32,
    /// How many may be missing while old replicas are replaced.
    missing: u32,
}

impl Targets {
    fn choose(input: &Input<'_>, plan: &mut Plan) -> Targets {
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
            .filter(|replica| matches!(replica.condition, Condition::Starting | Condition::Ready))
            .count() as u32;
        let batch = outdated.min(input.roll.parallelism);
        let surge: BTreeSet<Slot> = match input.roll.order {
            Order::StartFirst => free.take(batch as usize).collect(),
            Order::StopFirst => BTreeSet::new(),
        };
        let missing = match input.roll.order {
            Order::StartFirst if surge.len() as u32 == batch => 0,
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

    fn is_wanted(&self) -> Reason {
        Reason::BelowWanted {
            wanted: self.wanted,
        }
    }

    fn keeps(&self, replica: &Seen) -> bool {
        replica.current && self.slots.contains(&replica.slot)
    }
}

fn stop_what_is_sick_or_drained(input: &Input<'_>, targets: &Targets, plan: &mut Plan) {
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
            Condition::Asleep { settled: true } if targets.keeps(replica) => {
                plan.actions.push(Action::Resume {
                    id,
                    slot,
                    because: Reason::BelowWanted {
                        wanted: targets.wanted,
                    },
                });
            }
            // It has no requests to finish, and what replaces it needs no one to stand in.
            Condition::Asleep { settled: true } => plan.actions.push(Action::Stop {
                id,
                slot,
                grace: input.stop_grace_period,
                because: why_unwanted(input, targets, replica),
            }),
            Condition::Starting
            | Condition::Ready
            | Condition::Unwell { .. }
            | Condition::Asleep { settled: false }
            | Condition::Stopping => {}
        }
    }
}

/// Ports on which no replica can be made.
fn taken(input: &Input<'_>) -> BTreeSet<Slot> {
    let stuck = |replica: &&Seen| matches!(replica.condition, Condition::Stuck { .. });
    let stuck = input.replicas.iter().filter(stuck);
    let mut taken = input.taken.clone();
    taken.extend(stuck.map(|replica| replica.slot));
    // A start that may still return keeps its place, as long as others serve.
    if ready(input) == 0 {
        taken.extend(&input.hanging);
    }
    taken
}

/// Asks again for the removal of what holds a port, and says what is in the way.
pub(super) fn retry_removal(
    input: &Input<'_>,
    replica: &Seen,
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

/// One that somebody paused would not hear the signal.
pub(super) fn sick_grace(input: &Input<'_>, ailment: &Ailment) -> Duration {
    match ailment {
        Ailment::Paused => Duration::ZERO,
        _ => SICK_GRACE.min(input.stop_grace_period),
    }
}

/// Stops a draining replica once it is empty, or its time is over.
pub(super) fn finish_draining(
    input: &Input<'_>,
    replica: &Seen,
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

/// One that fails its health check is replaced at once. Several at once may fail of something
/// that no replacement mends, as when their database is away: unless others stay well for as long
/// as a common cause takes to show, they are replaced one at a time, and the rest wait. They may
/// recover.
fn stop_what_is_unwell(input: &Input<'_>, targets: &Targets, plan: &mut Plan) {
    let mut unwell: Vec<(Moment, &Seen, &Ailment)> = input
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
    // Places where neither one that is ready nor one that waits here sits: being replaced.
    let sits = |replica: &&Seen| {
        matches!(
            replica.condition,
            Condition::Ready | Condition::Unwell { .. }
        )
    };
    let seats = input.replicas.iter().filter(sits);
    let seats: BTreeSet<Slot> = seats.map(|replica| replica.slot).collect();
    let regular = targets.slots.difference(&targets.surge);
    let mut under_way = regular.filter(|slot| !seats.contains(slot)).count();
    let ready = ready(input);
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

/// While too few are ready, whatever may be so soon stays: one that was ahead of a roll whose
/// last old replica just died, or an old one, in its slot, that is the only one there is.
fn may_be_ready_first(input: &Input<'_>, targets: &Targets, replica: &Seen) -> bool {
    let in_place = replica.current || targets.slots.contains(&replica.slot);
    in_place && ready(input) < targets.wanted
}

fn drain_what_is_too_many_or_old(input: &Input<'_>, targets: &Targets, plan: &mut Plan) {
    let mut staying = ready(input);
    let mut leaving: Vec<&Seen> = input
        .replicas
        .iter()
        .filter(|replica| replica.condition == Condition::Ready && !targets.keeps(replica))
        .collect();
    // What nobody wants goes before what is merely old; of each, the highest slot first.
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

fn start_what_is_missing(input: &Input<'_>, targets: &Targets, plan: &mut Plan) {
    let starting = |replica: &&Seen| replica.condition == Condition::Starting;
    let pending = input.starting.difference(&input.hanging).count();
    let under_way = pending + input.replicas.iter().filter(starting).count();
    let mut left = input.starts_left;
    if input.reserve && under_way == 0 && ready(input) == 0 {
        left = left.max(1);
    }
    if input.hanging.len() >= HANGING_MAX {
        left = 0;
    }
    if input.backoff.is_in_a_row() {
        // Whatever it is that they fail of, one is enough to find out whether it is over.
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
        Image::Here => return true,
        Image::Unknown => {
            let is_fetch = |action: &Action| matches!(action, Action::FetchImage { .. });
            if !plan.actions.iter().any(is_fetch) {
                plan.actions.push(Action::FetchImage { slot, because });
            }
        }
        Image::Coming { name, since } => plan.waits(Reason::Pulling {
            image: name.clone(),
            since: input.now.since(*since),
        }),
    }
    false
}

fn ready(input: &Input<'_>) -> u32 {
    let ready = |replica: &&Seen| replica.condition == Condition::Ready;
    input.replicas.iter().filter(ready).count() as u32
}

fn why_unwanted(input: &Input<'_>, targets: &Targets, replica: &Seen) -> Reason {
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

#[cfg(test)]
#[path = "replicas_tests.rs"]
mod tests;
