//! A request's lease: the next replica in turn is claimed, and given back.

use crate::stage;
use criterion::Criterion;
use std::hint::black_box;
use tidegate::proxy::balance::{self, Ask};
use tidegate::service::spec::Forward;
use tidegate::service::store::store;

pub fn measure(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    for count in [1, 10, 100, 1000] {
        let (mut writer, reader) = store();
        let service = stage::service(&writer, count);
        writer.publish(stage::snapshot(service));
        let forward = Forward::default();
        let ask = Ask {
            forward: &forward,
            key: None,
            tried: &[],
        };
        let once = || {
            let snapshot = reader.load();
            let service = snapshot.service(black_box("web")).expect("it is there");
            drop(balance::claim(service, ask).expect("one is ready"));
        };
        once();
        let allocated = allocation_counter::measure(once);
        assert_eq!(allocated.count_total, 0, "a claim allocates: {allocated:?}");
        criterion.bench_function(&format!("claim and release, {count} replicas"), |bencher| {
            bencher.iter(once);
        });
    }
}
