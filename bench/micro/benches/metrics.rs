//! Cost of a finished request for the metrics that are always there.

use criterion::Criterion;
use std::hint::black_box;
use tidegate::plugin::testing;
use tidegate::plugins::observe::prometheus::Prometheus;

pub fn measure(criterion: &mut Criterion) {
    let installed = testing::install::<Prometheus>("").expect("no keys");
    let exchange = testing::routed();
    let record = testing::record(&exchange);
    let once = || {
        for observer in &installed.observers {
            observer.request(black_box(&record));
        }
    };
    once();
    let allocated = allocation_counter::measure(once);
    println!(
        "the metrics of a request: {} allocations",
        allocated.count_total
    );
    criterion.bench_function("metrics of a request", |bencher| bencher.iter(once));
}
