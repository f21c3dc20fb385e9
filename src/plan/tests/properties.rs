//! Properties that every plan has, over random services.

use super::picture::*;
use crate::plan::backoff::Backoff;
use crate::plan::{Action, Condition, ImageStatus, Plan, ReplicaInput, plan};
use crate::service::replica::{Ailment, ReplicaId};
use crate::service::spec::{Slot, UpdateOrder};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

/// A world that carries plans out at once and without failures.
fn carry_out(picture: &mut Picture, plan: &Plan) {
    for action in &plan.actions {
        match action {
            Action::Start { slot, .. } => picture.replicas.push(ReplicaInput {
                id: ReplicaId::new(format!("new{slot}")),
                slot: *slot,
                current: true,
                condition: Condition::Ready,
            }),
            Action::FetchImage { .. } => picture.image = ImageStatus::Here,
            Action::Stop { id, .. } => picture.replicas.retain(|replica| replica.id != *id),
            Action::Drain { id, .. } => set(
                picture,
                id,
                Condition::Draining {
                    since: NOW,
                    in_flight: 0,
                },
            ),
            Action::Return { id, .. } | Action::Resume { id, .. } => {
                set(picture, id, Condition::Ready);
            }
            Action::Pause { id, .. } => set(
                picture,
                id,
                Condition::Asleep {
                    settled: true,
                    in_flight: 0,
                },
            ),
        }
    }
}

fn set(picture: &mut Picture, id: &ReplicaId, condition: Condition) {
    for replica in &mut picture.replicas {
        if replica.id == *id {
            replica.condition = condition.clone();
        }
    }
}

fn any_condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        3 => Just(Condition::Ready),
        1 => Just(Condition::Starting),
        1 => Just(Condition::Stopping),
        1 => Just(Condition::StopFailed),
        1 => prop::option::of(-1..3i64).prop_map(|secs| Condition::Stuck {
            why: "resource busy".to_owned(),
            again_at: secs.map(|secs| match u64::try_from(secs) {
                Ok(secs) => NOW + Duration::from_secs(secs),
                Err(_) => NOW - Duration::from_secs(1),
            }),
        }),
        1 => (prop::bool::ANY, 0..3u64)
            .prop_map(|(settled, in_flight)| Condition::Asleep { settled, in_flight }),
        1 => (1..3u64, 0..20u64).prop_map(|(in_flight, secs)| Condition::Resumed {
            since: NOW - Duration::from_secs(secs),
            in_flight,
        }),
        1 => Just(Condition::Sick(Ailment::Paused)),
        1 => (0..4u64).prop_map(|secs| Condition::Unwell {
            since: NOW - Duration::from_secs(secs),
            ailment: Ailment::Unhealthy { why: "answered 500".to_owned() },
        }),
        1 => (0..3u64, 0..20u64).prop_map(|(in_flight, secs)| Condition::Draining {
            since: NOW - Duration::from_secs(secs),
            in_flight,
        }),
    ]
}

prop_compose! {
    fn any_picture()(
        replicas in prop::collection::btree_map(8000..8014u16, (any_condition(), prop::bool::weighted(0.7)), 0..12),
        starting in prop::collection::btree_set(8000..8014u16, 0..3),
        taken in prop::collection::btree_set(8000..8014u16, 0..3),
        wanted in prop::option::weighted(0.9, 0..11u32),
        failures in 0..3u32,
        starts_left in 0..5u32,
        parallelism in 1..4u32,
        stop_first in prop::bool::weighted(0.3),
    ) -> Picture {
        let mut picture = picture("").failed(failures).starts_left(starts_left);
        picture.roll.parallelism = parallelism;
        if stop_first {
            picture = picture.stop_first();
        }
        picture.wanted = wanted;
        picture.replicas = replicas
            .into_iter()
            .map(|(slot, (condition, current))| ReplicaInput {
                id: ReplicaId::new(format!("r{slot}")),
                slot,
                current,
                condition,
            })
            .collect();
        picture.starting = starting;
        picture.taken = taken;
        picture
    }
}

fn ready_after(picture: &Picture, plan: &Plan) -> u32 {
    let drained = plan
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Drain { .. }))
        .count();
    let returned = plan
        .actions
        .iter()
        .filter(|action| matches!(action, Action::Return { .. }))
        .count();
    picture.input().ready() + returned as u32 - drained as u32
}

proptest! {
    #[test]
    fn the_same_input_gives_the_same_plan(picture in any_picture()) {
        prop_assert_eq!(plan(&picture.input()), plan(&picture.input()));
    }

    #[test]
    fn a_plan_never_drains_below_what_is_wanted(picture in any_picture()) {
        let before = picture.input().ready();
        let wanted = picture.wanted.unwrap_or(0);
        let may_miss = match picture.roll.order {
            UpdateOrder::StartFirst => 0,
            UpdateOrder::StopFirst => picture.roll.parallelism,
        };
        let after = ready_after(&picture, &plan(&picture.input()));
        let least = before.min(wanted.saturating_sub(may_miss));
        prop_assert!(after >= least, "{before} ready, {wanted} wanted, {after} left");
    }

    #[test]
    fn no_start_meets_a_held_or_foreign_port_or_the_hosts_limit(picture in any_picture()) {
        let plan = plan(&picture.input());
        let mut starts = BTreeSet::new();
        for action in &plan.actions {
            if let Action::Start { slot, .. } = action {
                prop_assert!(!picture.taken.contains(slot) && !picture.starting.contains(slot));
                prop_assert!(picture.replicas.iter().all(|replica| replica.slot != *slot));
                prop_assert!(starts.insert(*slot));
            }
        }
        let reserve = u32::from(picture.reserve);
        prop_assert!(starts.len() as u32 <= picture.starts_left.max(reserve));
    }

    #[test]
    fn what_is_in_flight_is_never_stopped_before_its_deadline(picture in any_picture()) {
        for action in plan(&picture.input()).actions {
            let Action::Stop { id, .. } = action else { continue };
            let stopped = picture.replicas.iter().find(|replica| replica.id == id).unwrap();
            match stopped.condition {
                Condition::Ready | Condition::Stopping => prop_assert!(false, "stopped {stopped:?}"),
                Condition::Draining { since, in_flight }
                | Condition::Resumed { since, in_flight } => {
                    prop_assert!(in_flight == 0 || NOW.since(since) >= GRACE);
                }
                Condition::Asleep { settled, in_flight } => {
                    prop_assert!(settled && in_flight == 0);
                }
                Condition::Sick(_)
                | Condition::Unwell { .. }
                | Condition::Starting
                | Condition::StopFailed
                | Condition::Stuck { .. } => {}
            }
        }
    }

    #[test]
    fn carried_out_plans_come_to_rest_with_exactly_what_is_wanted(mut picture in any_picture()) {
        picture.starts_left = 4;
        picture.backoff = Backoff::default();
        for _ in 0..100 {
            // The world finishes what was under way; starts that nobody saw have failed.
            picture.starting.clear();
            for replica in &mut picture.replicas {
                match &mut replica.condition {
                    Condition::Starting | Condition::Resumed { .. } => replica.condition = Condition::Ready,
                    Condition::Draining { in_flight, .. } => *in_flight = 0,
                    Condition::Asleep { settled, .. } => *settled = true,
                    Condition::Stuck { .. } => replica.condition = Condition::Stopping,
                    _ => {}
                }
            }
            picture.replicas.retain(|replica| replica.condition != Condition::Stopping);
            let next = plan(&picture.input());
            carry_out(&mut picture, &next);
            if next.actions.is_empty() {
                break;
            }
        }
        prop_assert_eq!(plan(&picture.input()).actions, vec![]);
        let wanted = picture.wanted.unwrap_or(0) as usize;
        let slots: BTreeSet<Slot> = picture.replicas.iter().map(|replica| replica.slot).collect();
        let lowest: BTreeSet<Slot> =
            (8000..).filter(|slot| !picture.taken.contains(slot)).take(wanted).collect();
        prop_assert_eq!(slots, lowest);
        prop_assert!(picture.replicas.iter().all(|replica| replica.current));
    }
}
