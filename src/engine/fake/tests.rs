use super::FakeEngine;
use crate::engine::{Engine, ErrorKind, Place, testing};
use crate::service::replica::RunState;
use crate::service::spec::Slot;
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn slots(engine: &FakeEngine) -> Vec<(Slot, RunState)> {
    let replicas = engine.replicas();
    replicas.into_iter().map(|r| (r.slot, r.state)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_start_takes_its_time_and_shows_only_when_done() {
    let engine = FakeEngine::new();
    engine.start_time("web", 3 * SECOND);
    engine.slot_start_time(8001, SECOND);
    let web = testing::containers("web");
    let began = Instant::now();
    let here = Place::here();
    let (first, second) = tokio::join!(engine.start(&web, 8000, 1, &here), async {
        let id = engine.start(&web, 8001, 2, &Place::here()).await;
        assert_eq!(began.elapsed(), SECOND);
        assert_eq!(slots(&engine), [(8001, RunState::Running)]);
        id
    });
    assert_eq!(began.elapsed(), 3 * SECOND);
    assert_eq!(second.unwrap().to_string(), "fake-1");
    assert_eq!(first.unwrap().to_string(), "fake-2");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_given_up_leaves_nothing() {
    let engine = FakeEngine::new();
    engine.start_time("web", 3 * SECOND);
    let web = testing::containers("web");
    let here = Place::here();
    let start = engine.start(&web, 8000, 1, &here);
    assert!(tokio::time::timeout(SECOND, start).await.is_err());
    sleep(5 * SECOND).await;
    assert_eq!(slots(&engine), []);
}

#[tokio::test(start_paused = true)]
async fn failures_come_in_the_order_of_the_script() {
    let engine = FakeEngine::new();
    let web = testing::containers("web");
    engine.fail_starts(1, ErrorKind::Failed);
    engine.take_port(8000);
    let kind = async |slot| {
        engine
            .start(&web, slot, 1, &Place::here())
            .await
            .map_err(|e| e.kind)
    };
    assert_eq!(kind(8001).await, Err(ErrorKind::Failed));
    assert_eq!(kind(8000).await, Err(ErrorKind::PortTaken));
    assert!(kind(8001).await.is_ok());
    assert_eq!(kind(8001).await, Err(ErrorKind::PortTaken));
    engine.free_port(8000);
    assert!(kind(8000).await.is_ok());
    engine.reachable(false);
    assert_eq!(kind(8002).await, Err(ErrorKind::Unreachable));
    assert_eq!(engine.replicas().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_ended_replica_stays_until_removed_and_frees_its_port() {
    let engine = FakeEngine::new();
    let web = testing::containers("web");
    let id = engine.start(&web, 8000, 1, &Place::here()).await.unwrap();
    engine.exit(8000, 137);
    let exited = RunState::Exited { code: Some(137) };
    assert_eq!(slots(&engine), [(8000, exited)]);
    engine.start(&web, 8000, 2, &Place::here()).await.unwrap();
    engine.stop(&id, SECOND).await.unwrap();
    engine.stop(&id, SECOND).await.unwrap();
    assert_eq!(slots(&engine), [(8000, RunState::Running)]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_lasts_no_longer_than_its_grace() {
    let engine = FakeEngine::new();
    let web = testing::containers("web");
    engine.stop_time(10 * SECOND);
    for (paused, grace, lasts) in [
        (false, 2 * SECOND, 2 * SECOND),
        (true, 2 * SECOND, 2 * SECOND),
        (true, Duration::ZERO, Duration::ZERO),
    ] {
        let id = engine.start(&web, 8000, 1, &Place::here()).await.unwrap();
        if paused {
            engine.pause(8000);
        }
        let began = Instant::now();
        engine.stop(&id, grace).await.unwrap();
        assert_eq!(began.elapsed(), lasts);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_picture_is_an_old_picture() {
    let engine = FakeEngine::new();
    engine.observe_time(SECOND);
    let web = testing::containers("web");
    let here = Place::here();
    let (seen, _) = tokio::join!(engine.observe(), engine.start(&web, 8000, 1, &here));
    assert_eq!(seen.unwrap().replicas, []);
    assert_eq!(engine.observe().await.unwrap().replicas, engine.replicas());
}

#[tokio::test(start_paused = true)]
async fn every_change_is_said_and_many_at_once_are_one() {
    let engine = FakeEngine::new();
    let mut changes = engine.changes();
    assert_eq!(changes.next().now_or_never(), None);
    engine
        .start(&testing::containers("web"), 8000, 1, &Place::here())
        .await
        .unwrap();
    engine.exit(8000, 1);
    assert_eq!(changes.next().now_or_never(), Some(Some(())));
    assert_eq!(changes.next().now_or_never(), None);
    engine.reachable(false);
    assert_eq!(changes.next().now_or_never(), None);
    engine.reachable(true);
    assert_eq!(changes.next().now_or_never(), Some(Some(())));
}
