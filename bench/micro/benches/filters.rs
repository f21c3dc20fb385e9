//! A request and its answer among filters that have nothing to do.

use criterion::Criterion;
use std::hint::black_box;
use std::sync::Arc;
use tidegate::plugin::prelude::*;
use tidegate::proxy::{Chain, Passed};

struct Idle;

impl Filter for Idle {}

pub fn measure(criterion: &mut Criterion) {
    let mut request = RequestHeader::build("GET", b"/", None).expect("a head");
    let mut answer = ResponseHeader::build(200, None).expect("a head");
    let mut exchange = testing::routed();
    for count in [0, 10] {
        let filters = (0..count).map(|_| Arc::new(Idle) as Arc<dyn Filter>);
        let chain = Chain::new(filters.collect(), Vec::new());
        let mut once = || {
            for places in [chain.seeing_all(), chain.seeing_routed()] {
                let mut seen = Request {
                    head: black_box(&mut request),
                    exchange: &mut exchange,
                };
                assert!(matches!(chain.ask(places, &mut seen), Passed::Through));
            }
            chain.disown(&mut request);
            let head = black_box(&mut answer);
            let answered = chain.answer(head, &request, &mut exchange, Origin::Replica);
            assert!(black_box(answered).is_ok());
        };
        once();
        let allocated = allocation_counter::measure(&mut once);
        assert_eq!(
            allocated.count_total, 0,
            "{count} filters allocate: {allocated:?}"
        );
        criterion.bench_function(&format!("{count} idle filters"), |bencher| {
            bencher.iter(&mut once);
        });
    }
}
