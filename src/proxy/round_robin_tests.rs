use super::*;
use crate::service::replica::{Replica, ReplicaId};
use crate::service::snapshot::{ServiceView, Snapshot};
use crate::service::spec::{ServiceName, Slot};
use crate::service::store::{Reader, Writer, store};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A service whose set of ready replicas a test changes.
struct Stage {
    writer: Writer,
    reader: Reader,
    view: ServiceView,
}

impl Stage {
    fn new(slots: impl IntoIterator<Item = Slot>) -> Stage {
        let (writer, reader) = store();
        let view = ServiceView::new(ServiceName::new("web"), Arc::new(writer.new_load()));
        let mut stage = Stage {
            writer,
            reader,
            view,
        };
        stage.set(slots);
        stage
    }

    /// Replicas that stay keep their identity and their counts.
    fn set(&mut self, slots: impl IntoIterator<Item = Slot>) {
        let old: BTreeMap<Slot, Arc<Replica>> = self
            .view
            .ready
            .drain(..)
            .map(|replica| (replica.slot, replica))
            .collect();
        for slot in slots {
            let replica = old.get(&slot).cloned().unwrap_or_else(|| {
                Arc::new(self.writer.new_replica(
                    self.view.name.clone(),
                    ReplicaId::new(slot.to_string()),
                    slot,
                    u64::from(slot),
                    ([127, 0, 0, 1], slot).into(),
                    Arc::default(),
                ))
            });
            self.view.ready.push(replica);
        }
        let service = Arc::new(self.view.clone());
        self.writer.publish(Snapshot {
            services: BTreeMap::from([(service.name.clone(), service)]),
            ..Snapshot::default()
        });
    }

    fn claim(&self, tried: &[u64]) -> Option<Lease> {
        claim(self.reader.load().service("web")?, UNLIMITED, tried)
    }

    fn next(&self) -> Slot {
        self.claim(&[]).expect("a ready replica").replica().slot
    }

    fn take(&self, count: usize) -> Vec<Slot> {
        (0..count).map(|_| self.next()).collect()
    }
}

#[test]
fn six_requests_over_three_replicas_are_a_b_c_a_b_c() {
    let stage = Stage::new([1, 2, 3]);
    assert_eq!(stage.take(6), [1, 2, 3, 1, 2, 3]);
}

#[test]
fn the_order_goes_on_when_replicas_come_and_go() {
    let mut stage = Stage::new([1, 2, 3]);
    assert_eq!(stage.take(2), [1, 2]);
    stage.set([1, 2, 3, 4]);
    assert_eq!(stage.take(3), [3, 4, 1]);
    stage.set([1, 3, 4]);
    assert_eq!(stage.take(3), [3, 4, 1]);
    stage.set([2, 3]);
    assert_eq!(stage.take(3), [2, 3, 2]);
}

#[test]
fn a_replica_that_failed_the_request_is_passed_over() {
    let stage = Stage::new([1, 2, 3]);
    assert_eq!(stage.next(), 1);
    assert_eq!(stage.claim(&[2]).unwrap().replica().slot, 3);
    assert_eq!(stage.next(), 1);
    assert!(stage.claim(&[1, 2, 3]).is_none());
}

#[test]
fn a_replica_in_doubt_is_passed_over_while_there_is_another() {
    let stage = Stage::new([1, 2, 3]);
    stage.view.ready[1].doubt.raise();
    assert_eq!(stage.take(4), [1, 3, 1, 3]);
    stage.view.ready[0].doubt.raise();
    stage.view.ready[2].doubt.raise();
    assert_eq!(
        stage.take(3),
        [1, 2, 3],
        "all in doubt are better than none"
    );
    stage.view.ready[1].doubt.settle();
    assert_eq!(stage.take(2), [2, 2]);
}

#[test]
fn a_replica_that_was_tried_is_good_again_once_its_health_check_says_so() {
    let stage = Stage::new([1]);
    let only = &stage.view.ready[0];
    only.doubt.raise();
    assert!(stage.claim(&[1]).is_none() && claim_again(&stage.view, UNLIMITED).is_none());
    only.doubt.settle();
    assert!(claim_again(&stage.view, UNLIMITED).is_some());
}

#[test]
fn a_draining_replica_gets_nothing_even_from_an_old_snapshot() {
    let stage = Stage::new([1, 2]);
    stage.view.ready[0].gate.close();
    assert_eq!(stage.take(3), [2, 2, 2]);
    stage.view.ready[1].gate.close();
    assert!(stage.claim(&[]).is_none());
}

#[test]
fn shares_are_exactly_equal_whatever_the_concurrency() {
    const THREADS: usize = 4;
    const EACH: usize = 30_000;
    let stage = Stage::new([1, 2, 3]);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..EACH).for_each(|_| drop(stage.claim(&[]))));
        }
    });
    let requests: Vec<u64> = stage
        .view
        .ready
        .iter()
        .map(|replica| replica.requests())
        .collect();
    assert_eq!(requests, [(THREADS * EACH / 3) as u64; 3]);
}

proptest! {
    /// Whatever comes and goes: between two turns of a replica that stays, every other replica
    /// that stays has exactly one.
    #[test]
    fn nobody_is_served_twice_before_everybody_else_who_stays_was_served_once(
        steps in prop::collection::vec((prop::collection::btree_set(1..9u16, 1..8), 1..12usize), 1..20)
    ) {
        let mut stage = Stage::new([]);
        let mut served: Vec<Slot> = Vec::new();
        let mut always = steps[0].0.clone();
        for (slots, requests) in &steps {
            always = always.intersection(slots).copied().collect();
            stage.set(slots.iter().copied());
            served.extend(stage.take(*requests));
        }
        for slot in &always {
            for other in &always {
                let turns: Vec<&Slot> =
                    served.iter().filter(|turn| *turn == slot || *turn == other).collect();
                prop_assert!(
                    slot == other || turns.windows(2).all(|pair| pair[0] != pair[1]),
                    "{slot} and {other} do not alternate in {served:?}"
                );
            }
        }
    }

    /// A dead replica costs its neighbours nothing: the others still share equally.
    #[test]
    fn retries_keep_the_shares_of_the_others_equal(replicas in 2..8u16, rounds in 1..30u64, dead in 0..8u16) {
        let stage = Stage::new(1..=replicas);
        let dead = u64::from(dead % replicas + 1);
        let alive = u64::from(replicas) - 1;
        let mut answered: BTreeMap<u64, u64> = BTreeMap::new();
        for _ in 0..rounds * alive {
            let mut tried = Vec::new();
            loop {
                let lease = stage.claim(&tried).expect("somebody is alive");
                let generation = lease.replica().generation;
                if generation != dead {
                    *answered.entry(generation).or_default() += 1;
                    break;
                }
                tried.push(generation);
            }
        }
        prop_assert!(answered.values().all(|count| *count == rounds), "{answered:?}");
    }
}

#[test]
fn an_ejected_replica_is_passed_over_unless_there_is_nobody_else() {
    let stage = Stage::new(8000..8003);
    let ready = &stage.view.ready;
    ready[1].eject(&Default::default()).expect("the first time");
    assert_eq!(stage.take(4), [8000, 8002, 8000, 8002]);
    let tried = [8000, 8002];
    let slot = |lease: Lease| lease.replica().slot;
    assert_eq!(stage.claim(&tried).map(slot), Some(8001));
    // One that refuses connections is the worse choice.
    ready[0].doubt.raise();
    ready[2].doubt.raise();
    assert_eq!(stage.take(2), [8001, 8001]);
}

#[test]
fn turns_stay_exact_among_those_that_have_a_place() {
    let stage = Stage::new([1, 2, 3]);
    let claim = || claim(&stage.view, 2, &[]);
    let slot = |lease: &Lease| lease.replica().slot;
    let mut inside: Vec<Lease> = (0..6).map(|_| claim().expect("a place")).collect();
    let order: Vec<Slot> = inside.iter().map(slot).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
    assert!(claim().is_none(), "two each are all");
    assert_eq!(await_place(&stage.view, 2, &[]), Place::Awaited);
    inside.retain(|lease| slot(lease) != 2);
    assert_eq!(await_place(&stage.view, 2, &[]), Place::Free);
    assert_eq!(
        [claim(), claim()].map(|it| it.map(|it| slot(&it))),
        [Some(2); 2]
    );
}

#[test]
fn a_good_replica_that_is_full_is_waited_for_and_a_bad_one_left_alone() {
    let stage = Stage::new([1, 2]);
    let ready = &stage.view.ready;
    ready[1].eject(&Default::default()).expect("the first time");
    let first = claim(&stage.view, 1, &[]).expect("a place");
    assert_eq!(first.replica().slot, 1);
    assert!(claim(&stage.view, 1, &[]).is_none());
    assert_eq!(await_place(&stage.view, 1, &[]), Place::Awaited);
    // Unless it is gone.
    ready[0].gate.close();
    assert!(claim(&stage.view, 1, &[]).is_some());
}

#[test]
fn no_replica_ever_has_more_than_the_limit_whatever_the_concurrency() {
    const LIMIT: u64 = 3;
    let stage = Stage::new([1, 2, 3]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut inside = Vec::new();
                for turn in 0..20_000 {
                    inside.extend(claim(&stage.view, LIMIT, &[]));
                    for replica in &stage.view.ready {
                        assert!(replica.gate.inside() <= LIMIT);
                    }
                    if turn % 3 == 0 {
                        inside.clear();
                    }
                }
            });
        }
    });
    assert!(stage.view.ready.iter().all(|it| it.gate.inside() == 0));
}
