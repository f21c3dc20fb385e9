//! A new snapshot, and the look that every request takes at it.

use crate::stage;
use criterion::{BatchSize, Criterion};
use tidegate::service::store::store;

pub fn measure(criterion: &mut Criterion) {
    for count in [1, 10, 100, 1000] {
        let (mut writer, reader) = store();
        let service = stage::service(&writer, count);
        // As the control loop does it: a new view of every replica, then one pointer is swapped.
        let fresh = || stage::snapshot(service.clone());
        criterion.bench_function(&format!("publish, {count} replicas"), |bencher| {
            bencher.iter_batched(|| (), |()| writer.publish(fresh()), BatchSize::SmallInput);
        });
        if count == 1000 {
            criterion.bench_function("load a snapshot", |bencher| {
                bencher.iter(|| reader.load().engine_up);
            });
        }
    }
}
