use super::*;
use crate::proxy::balance::key;
use crate::service::replica::{Replica, ReplicaId};
use crate::service::snapshot::{ServiceView, Snapshot};
use crate::service::spec::{Balance, HashBy, ServiceName, Slot};
use crate::service::store::{Reader, Writer, store};
use http::HeaderMap;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A service whose set of ready replicas a test changes.
struct Stage {
    writer: Writer,
    reader: Reader,
    view: ServiceView,
    forward: Forward,
}

impl Stage {
    fn new(slots: impl IntoIterator<Item = Slot>) -> Stage {
        let (writer, reader) = store();
        let view = ServiceView::new(ServiceName::new("web"), Arc::new(writer.new_load()));
        let mut stage = Stage {
            writer,
            reader,
            view,
            forward: Forward::default(),
        };
        stage.set(slots);
        stage
    }

    fn limited(mut self, container_concurrency: u32) -> Stage {
        self.forward.container_concurrency = Some(container_concurrency);
        self
    }

    fn balanced(mut self, balance: Balance) -> Stage {
        self.forward.balance = balance;
        self
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
        self.claim_for(None, tried)
    }

    fn claim_for(&self, key: Option<&[u8]>, tried: &[u64]) -> Option<Lease> {
        claim(self.reader.load().service("web")?, self.ask(key, tried))
    }

    fn ask<'a>(&'a self, key: Option<&'a [u8]>, tried: &'a [u64]) -> Ask<'a> {
        Ask {
            forward: &self.forward,
            key,
            tried,
        }
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
    assert!(
        stage.claim(&[1]).is_none() && claim_again(&stage.view, stage.ask(None, &[])).is_none()
    );
    only.doubt.settle();
    assert!(claim_again(&stage.view, stage.ask(None, &[])).is_some());
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
    /// Between two turns of a replica that stays, every other replica that stays has exactly one,
    /// no matter how many come and go.
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
    let stage = Stage::new([1, 2, 3]).limited(2);
    let claim = || claim(&stage.view, stage.ask(None, &[]));
    let slot = |lease: &Lease| lease.replica().slot;
    let mut inside: Vec<Lease> = (0..6).map(|_| claim().expect("a place")).collect();
    let order: Vec<Slot> = inside.iter().map(slot).collect();
    assert_eq!(order, [1, 2, 3, 1, 2, 3]);
    assert!(claim().is_none(), "two each are all");
    assert_eq!(
        await_place(&stage.view, stage.ask(None, &[])),
        Vacancy::Awaited
    );
    inside.retain(|lease| slot(lease) != 2);
    assert_eq!(
        await_place(&stage.view, stage.ask(None, &[])),
        Vacancy::Free
    );
    assert_eq!(
        [claim(), claim()].map(|it| it.map(|it| slot(&it))),
        [Some(2); 2]
    );
}

#[test]
fn a_good_replica_that_is_full_is_waited_for_and_a_bad_one_left_alone() {
    let stage = Stage::new([1, 2]).limited(1);
    let ready = &stage.view.ready;
    ready[1].eject(&Default::default()).expect("the first time");
    let first = stage.claim(&[]).expect("a place");
    assert_eq!(first.replica().slot, 1);
    assert!(stage.claim(&[]).is_none());
    assert_eq!(
        await_place(&stage.view, stage.ask(None, &[])),
        Vacancy::Awaited
    );
    // Unless it is gone.
    ready[0].gate.close();
    assert!(stage.claim(&[]).is_some());
}

#[test]
fn no_replica_ever_has_more_than_the_limit_whatever_the_concurrency() {
    const LIMIT: u32 = 3;
    let stage = Stage::new([1, 2, 3]).limited(LIMIT);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut inside = Vec::new();
                for turn in 0..20_000 {
                    inside.extend(stage.claim(&[]));
                    for replica in &stage.view.ready {
                        assert!(replica.gate.inside() <= u64::from(LIMIT));
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

#[test]
fn the_fewest_in_flight_of_all_are_asked_for_and_equals_take_turns() {
    let stage = Stage::new([1, 2, 3]).balanced(Balance::LeastRequest);
    assert_eq!(stage.take(6), [1, 2, 3, 1, 2, 3], "nobody has any");
    let slot = |lease: &Lease| lease.replica().slot;
    let mut inside: Vec<Lease> = (0..6).map(|_| stage.claim(&[]).expect("one")).collect();
    inside.retain(|lease| slot(lease) != 2);
    let two = [stage.claim(&[]), stage.claim(&[])].map(|it| it.expect("one"));
    assert_eq!(two.each_ref().map(slot), [2, 2], "it has none, then one");
    assert_ne!(stage.claim(&[2]).map(|it| slot(&it)), Some(2));
}

#[test]
fn the_fewest_in_flight_stay_level_whatever_the_concurrency() {
    let stage = Stage::new([1, 2, 3, 4]).balanced(Balance::LeastRequest);
    std::thread::scope(|scope| {
        let claims = || {
            (0..1_000)
                .filter_map(|_| stage.claim(&[]))
                .collect::<Vec<_>>()
        };
        let threads = [(); 4].map(|()| scope.spawn(claims));
        let inside = threads.map(|thread| thread.join().expect("no panic"));
        // A claim goes in where no more are than it saw as the fewest, so nobody runs ahead of
        // the others by more than the threads that look at once.
        for replica in &stage.view.ready {
            assert!((996..=1_004).contains(&replica.gate.inside()));
        }
        drop(inside);
    });
}

/// Where a thousand clients belong.
fn belongings(stage: &Stage) -> Vec<Slot> {
    let of = |client: u32| stage.claim_for(Some(client.to_string().as_bytes()), &[]);
    let of = |client| of(client).expect("one is ready").replica().slot;
    (0..1_000).map(of).collect()
}

#[test]
fn a_client_keeps_its_replica_and_only_those_of_one_that_leaves_move() {
    let mut stage = Stage::new([1, 2, 3, 4]).balanced(Balance::Hash(HashBy::Address));
    let before = belongings(&stage);
    assert_eq!(before, belongings(&stage));
    for slot in 1..=4 {
        let own = before.iter().filter(|it| **it == slot).count();
        assert!((125..=500).contains(&own), "{slot} has {own}");
    }
    stage.set([1, 2, 4]);
    for (before, now) in before.iter().zip(belongings(&stage)) {
        assert!(now == *before || *before == 3, "{before} -> {now}");
    }
    stage.set([1, 2, 3, 4]);
    assert_eq!(
        belongings(&stage),
        before,
        "whoever sits in a slot has its clients"
    );
}

#[test]
fn a_client_whose_replica_fails_or_is_full_goes_to_the_next_on_the_ring() {
    let stage = Stage::new([1, 2, 3])
        .balanced(Balance::Hash(HashBy::Address))
        .limited(1);
    let slot = |lease: &Lease| lease.replica().slot;
    let first = stage.claim_for(Some(b"me"), &[]).expect("one");
    let second = stage.claim_for(Some(b"me"), &[]).expect("another");
    assert_ne!(slot(&first), slot(&second));
    drop((first, second));
    let own = stage.claim_for(Some(b"me"), &[]).map(|it| slot(&it));
    let other = stage.claim_for(Some(b"me"), &[own.unwrap().into()]);
    assert_ne!(other.map(|it| slot(&it)), own);
}

#[test]
fn a_client_without_a_key_takes_its_turn() {
    let stage = Stage::new([1, 2, 3]).balanced(Balance::Hash(HashBy::Address));
    assert_eq!(stage.take(6), [1, 2, 3, 1, 2, 3]);
}

#[test]
fn a_key_is_found_where_the_service_says() {
    let mut headers = HeaderMap::new();
    headers.insert("x-user", "ann".parse().unwrap());
    headers.append("cookie", "a=1; sessions=x".parse().unwrap());
    headers.append("cookie", "b=2;session=s3".parse().unwrap());
    for (by, expected) in [
        (HashBy::Address, Some(&[10, 0, 0, 7][..])),
        (HashBy::Header("x-user".into()), Some(b"ann")),
        (HashBy::Header("x-other".into()), None),
        (HashBy::Cookie("session".into()), Some(b"s3")),
        (HashBy::Cookie("a".into()), Some(b"1")),
        (HashBy::Cookie("c".into()), None),
    ] {
        let forward = Forward {
            balance: Balance::Hash(by.clone()),
            ..Forward::default()
        };
        let client = Some("::ffff:10.0.0.7".parse().unwrap());
        let found = key(&forward, &headers, client);
        assert_eq!(found.as_deref(), expected, "{by:?}");
    }
    let plain = key(&Forward::default(), &headers, None);
    assert_eq!(plain, None, "nobody asks");
}

/// How many of 110 requests in a row the second replica gets.
fn of_the_next(stage: &Stage) -> usize {
    stage.take(110).iter().filter(|slot| **slot == 2).count()
}

#[tokio::test(start_paused = true)]
async fn a_new_replica_gets_its_share_little_by_little() {
    let mut stage = Stage::new([1]);
    stage.forward.slow_start = Duration::from_secs(20);
    tokio::time::advance(Duration::from_secs(30)).await;
    stage.set([1, 2]);
    assert_eq!(
        of_the_next(&stage),
        10,
        "a tenth of what the other one gets"
    );
    tokio::time::advance(Duration::from_secs(10)).await;
    let half = of_the_next(&stage);
    assert!((36..=37).contains(&half), "half of it, and it had {half}");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(of_the_next(&stage), 55);
    stage.view.ready[1].lose();
    stage.view.ready[1].find_again();
    assert_eq!(of_the_next(&stage), 10, "what was ill starts anew");
}

#[tokio::test(start_paused = true)]
async fn those_that_are_all_new_share_evenly() {
    let mut stage = Stage::new([1, 2]);
    stage.forward.slow_start = Duration::from_secs(20);
    let half = of_the_next(&stage);
    assert!((50..=60).contains(&half), "{half}");
}
