use super::*;
use crate::proxy::Chain;
use crate::service::replica::doubt::Doubt;
use crate::service::replica::{Replica, ReplicaId};
use crate::service::snapshot::{ServiceView, Snapshot};
use crate::service::spec::{Forward, ServiceName};
use crate::service::store::{Writer, store};
use std::sync::{Arc, Mutex};
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(10);

struct Stage {
    writer: Writer,
    reader: Reader,
    route: Arc<Route>,
    view: ServiceView,
}

impl Stage {
    /// A service whose first replica is on its way.
    fn new(hold_max: u64) -> Stage {
        Stage::limited(hold_max, None)
    }

    fn limited(hold_max: u64, container_concurrency: Option<u32>) -> Stage {
        let (writer, reader) = store();
        let name = ServiceName::new("web");
        let route = Route {
            service: name.clone(),
            forward: Forward {
                hold_max,
                container_concurrency,
                ..Forward::default()
            },
            scaler: None,
            chain: Chain::default(),
            keeps_encoded_slashes: false,
        };
        let view = ServiceView {
            desired: 1,
            coming: true,
            ..ServiceView::new(name, Arc::new(writer.new_load()))
        };
        let mut stage = Stage {
            writer,
            reader,
            route: Arc::new(route),
            view,
        };
        stage.publish();
        stage
    }

    fn publish(&mut self) {
        let service = Arc::new(self.view.clone());
        self.writer.publish(Snapshot {
            services: [(service.name.clone(), service)].into(),
            ..Snapshot::default()
        });
    }

    fn get_ready(&mut self, slot: u16) -> Arc<Doubt> {
        let doubt = Arc::<Doubt>::default();
        let replica: Replica = self.writer.new_replica(
            self.view.name.clone(),
            ReplicaId::new(slot.to_string()),
            slot,
            slot.into(),
            ([127, 0, 0, 1], slot).into(),
            Arc::clone(&doubt),
        );
        let replica = replica.counted_in(&self.view.load);
        self.view.ready.push(Arc::new(replica));
        self.publish();
        doubt
    }

    fn waits(&self, tried: &'static [u64]) -> impl Future<Output = Option<Lease>> + use<> {
        let (reader, route) = (self.reader.clone(), Arc::clone(&self.route));
        async move {
            let ask = Ask {
                forward: &route.forward,
                key: None,
                tried,
            };
            wait(&reader, &route, ask, PATIENCE).await
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_first_goes_first() {
    let mut stage = Stage::new(1000);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..500 {
        let (waits, order) = (stage.waits(&[]), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let lease = waits.await.expect("one comes");
            order.lock().unwrap().push(number);
            drop(lease);
        }));
        // So that it waits before the next one comes.
        tokio::task::yield_now().await;
    }
    assert_eq!(stage.view.load.held(), 500);
    stage.get_ready(8000);
    for task in tasks {
        task.await.unwrap();
    }
    let order = order.lock().unwrap();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(stage.view.load.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_tried_the_only_one_in_vain_gets_it_again_when_it_is_found_well() {
    let mut stage = Stage::new(1000);
    let doubt = stage.get_ready(8000);
    doubt.raise();
    let waits = tokio::spawn(stage.waits(&[8000]));
    // A waiter holds up nobody who has not tried the replica.
    sleep(Duration::from_millis(1)).await;
    assert!(stage.waits(&[]).await.is_some());
    assert!(!waits.is_finished());
    let began = Instant::now();
    doubt.settle();
    assert!(waits.await.unwrap().is_some());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_may_be_or_in_vain() {
    let mut stage = Stage::new(2);
    let waiting = [(); 2].map(|()| tokio::spawn(stage.waits(&[])));
    sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    assert!(stage.waits(&[]).await.is_none(), "there is no room");
    assert_eq!(began.elapsed(), Duration::ZERO);
    sleep(Duration::from_secs(5)).await;
    stage.view.coming = false;
    stage.publish();
    for waits in waiting {
        assert!(waits.await.unwrap().is_none());
    }
    assert!(began.elapsed() < Duration::from_secs(6));

    stage.view.coming = true;
    stage.publish();
    let began = Instant::now();
    assert!(stage.waits(&[]).await.is_none());
    assert_eq!(began.elapsed(), PATIENCE);
}

/// A replica with one place, which is taken, and who waits for it in order.
fn in_line(stage: &mut Stage, count: u32) -> (Lease, Arc<Mutex<Vec<u32>>>) {
    stage.get_ready(8000);
    let lease = Lease::claim_within(&stage.view.ready[0], 1).expect("free");
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..count {
        let (waits, order) = (stage.waits(&[]), Arc::clone(&order));
        tokio::spawn(async move {
            let lease = waits.await.expect("a place");
            order.lock().unwrap().push(number);
            // Keeps it until the world has come to rest.
            sleep(Duration::from_millis(1)).await;
            drop(lease);
        });
    }
    (lease, order)
}

#[tokio::test(start_paused = true)]
async fn each_place_that_becomes_free_goes_to_who_waits_longest() {
    let mut stage = Stage::limited(1000, Some(1));
    stage.view.coming = false;
    let (lease, order) = in_line(&mut stage, 100);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(stage.view.load.held(), 100);
    assert_eq!(*order.lock().unwrap(), [0; 0]);
    let began = Instant::now();
    drop(lease);
    sleep(Duration::from_micros(10)).await;
    assert_eq!(*order.lock().unwrap(), [0], "one place, one request");
    while stage.view.load.held() > 0 {
        sleep(Duration::from_micros(100)).await;
        assert!(stage.view.ready[0].gate.inside() <= 1);
    }
    // Each was handed on in the moment it came free: a millisecond for each that kept it.
    assert!(began.elapsed() < Duration::from_millis(105));
    let order = order.lock().unwrap();
    assert!(order.is_sorted() && order.len() == 100, "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_jumps_the_queue_for_a_place() {
    let mut stage = Stage::limited(2, Some(1));
    let (lease, order) = in_line(&mut stage, 2);
    sleep(Duration::from_millis(1)).await;
    let kept = || is_kept_by_others(&stage.view, &stage.route.forward, &[]);
    assert!(kept());
    assert!(
        stage.waits(&[]).await.is_none(),
        "there is no room in the line"
    );
    drop(lease);
    assert!(kept(), "the place is another's, though nobody has it yet");
    assert!(stage.waits(&[]).await.is_none());
    sleep(Duration::from_millis(10)).await;
    assert_eq!(*order.lock().unwrap(), [0, 1]);
    assert!(!kept());
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_waits_no_longer_than_it_may() {
    let mut stage = Stage::limited(1000, Some(1));
    stage.view.coming = false;
    stage.get_ready(8000);
    let _lease = Lease::claim(&stage.view.ready[0]);
    let began = Instant::now();
    assert!(stage.waits(&[]).await.is_none());
    assert_eq!(began.elapsed(), PATIENCE);
    // One that has left has no place to wait for.
    stage.view.ready[0].gate.close();
    assert!(stage.waits(&[]).await.is_none());
    assert_eq!(began.elapsed(), PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_new_replica_is_a_place_too() {
    let mut stage = Stage::limited(1000, Some(1));
    let (_lease, order) = in_line(&mut stage, 1);
    sleep(Duration::from_millis(1)).await;
    stage.get_ready(8001);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(*order.lock().unwrap(), [0]);
}

#[tokio::test(start_paused = true)]
async fn who_failed_elsewhere_waits_for_a_place_beside_the_line() {
    let mut stage = Stage::limited(1000, Some(1));
    stage.view.coming = false;
    let (lease, order) = in_line(&mut stage, 1);
    sleep(Duration::from_millis(1)).await;
    let again = tokio::spawn(stage.waits(&[8001]));
    sleep(Duration::from_millis(1)).await;
    assert!(!again.is_finished());
    drop(lease);
    sleep(Duration::from_millis(10)).await;
    assert!(again.await.unwrap().is_some());
    assert_eq!(*order.lock().unwrap(), [0]);
}
