//! The planner with a thousand replicas.

use criterion::Criterion;
use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;
use tidegate::plan::backoff::Backoff;
use tidegate::plan::{Condition, Depth, ImageStatus, Input, ReplicaInput, Roll, plan};
use tidegate::service::replica::ReplicaId;
use tidegate::service::spec::{Slot, UpdateOrder};
use tidegate::service::time::Moment;

const FIRST: Slot = 8000;

fn replicas(count: Slot, current: bool) -> Vec<ReplicaInput> {
    let seen = |slot: Slot| ReplicaInput {
        id: ReplicaId::new(format!("r{slot}")),
        slot,
        current,
        condition: Condition::Ready,
    };
    (FIRST..FIRST + count).map(seen).collect()
}

fn input<'a>(replicas: &'a [ReplicaInput], backoff: &'a Backoff, wanted: u32) -> Input<'a> {
    Input {
        replicas,
        starting: BTreeSet::new(),
        hanging: BTreeSet::new(),
        image: ImageStatus::Here,
        taken: BTreeSet::new(),
        first_slot: FIRST,
        wanted: Some(wanted),
        depth: Depth::Awake,
        stop_grace_period: Duration::from_secs(10),
        roll: Roll {
            parallelism: 1,
            order: UpdateOrder::StartFirst,
            not_before: None,
        },
        check_round: Duration::from_secs(2),
        backoff,
        starts_left: 4,
        reserve: true,
        engine_up: true,
        now: Moment::from_secs(1000),
    }
}

pub fn measure(criterion: &mut Criterion) {
    let backoff = Backoff::new("web");
    for count in [10, 100, 1000] {
        let (settled, old) = (replicas(count, true), replicas(count, false));
        let cases = [
            ("nothing to do", &settled, u32::from(count)),
            ("ten to start", &settled, u32::from(count) + 10),
            ("half to drain", &settled, u32::from(count) / 2),
            ("all to replace", &old, u32::from(count)),
        ];
        for (about, replicas, wanted) in cases {
            let input = input(replicas, &backoff, wanted);
            criterion.bench_function(&format!("plan, {count} replicas, {about}"), |bencher| {
                bencher.iter(|| plan(black_box(&input)));
            });
        }
    }
}
