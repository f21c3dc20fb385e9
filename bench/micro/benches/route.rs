//! From a request's head to its route.

use criterion::Criterion;
use pingora::http::RequestHeader;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidegate::proxy::Chain;
use tidegate::proxy::route::{Claim, PathClaim, Route, Routes};
use tidegate::service::spec::{Forward, ServiceName};

const MANY: usize = 10_000;
/// Heads that are made before a clock runs: as many as stay in the cache, where a head that was
/// just parsed is, too.
const HEADS: usize = 64;

fn host(number: usize) -> String {
    format!("shop-{}.example.com", number / 10)
}

fn path(number: usize) -> String {
    format!("/api/v1/part-{}", number % 10)
}

fn routes(count: usize) -> Routes {
    Routes::new((0..count).map(|number| {
        let claim = Claim {
            host: Some(host(number)),
            path: PathClaim::Prefix(path(number)),
            ..Claim::default()
        };
        let route = Route {
            service: ServiceName::new(format!("shop-{number}")),
            forward: Forward::default(),
            scaler: None,
            chain: Chain::default(),
            keeps_encoded_slashes: false,
        };
        (claim, Arc::new(route))
    }))
}

fn head(number: usize, below: &str) -> RequestHeader {
    let path = format!("{}{below}", path(number));
    let mut head = RequestHeader::build("GET", path.as_bytes(), None).expect("a head");
    let host = format!("{}:8080", host(number));
    head.insert_header("Host", host).expect("a header");
    head
}

/// Numbers in no order that a processor could guess.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

pub fn measure(criterion: &mut Criterion) {
    let below = "/things/17";
    for count in [1, 10, 100, 1000, MANY] {
        let routes = routes(count);
        let head = head(0, below);
        let found = || routes.find(black_box(&head), None).is_some();
        assert!(found());
        let allocated = allocation_counter::measure(|| assert!(found()));
        assert_eq!(
            allocated.count_total, 0,
            "a look-up allocates: {allocated:?}"
        );
        criterion.bench_function(&format!("route, {count} routes"), |bencher| {
            bencher.iter(found);
        });
    }
    let routes = routes(MANY);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut heads = || -> Vec<RequestHeader> {
        let numbers = (0..HEADS).map(|_| random.below(MANY));
        numbers.map(|number| head(number, below)).collect()
    };
    for head in heads() {
        let allocated = allocation_counter::measure(|| assert!(routes.find(&head, None).is_some()));
        assert_eq!(
            allocated.count_total, 0,
            "a look-up allocates: {allocated:?}"
        );
    }
    let hot = heads();
    criterion.bench_function("route, 64 hot ones of 10000", |bencher| {
        let mut next = hot.iter().cycle();
        bencher.iter(|| {
            routes
                .find(black_box(next.next().expect("endless")), None)
                .is_some()
        });
    });
    criterion.bench_function("route, any of 10000 at random", |bencher| {
        bencher.iter_custom(|times| {
            let mut took = Duration::ZERO;
            let mut left = times as usize;
            while left > 0 {
                let heads = heads();
                let now = left.min(HEADS);
                let began = Instant::now();
                for head in &heads[..now] {
                    black_box(routes.find(black_box(head), None));
                }
                took += began.elapsed();
                left -= now;
            }
            took
        });
    });
    let long = head(0, &"/a".repeat(4000));
    criterion.bench_function("route, a path of 4000 segments", |bencher| {
        bencher.iter(|| routes.find(black_box(&long), None).is_some());
    });
}
