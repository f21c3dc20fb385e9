//! From host and path to the service.

use criterion::Criterion;
use std::hint::black_box;
use std::sync::Arc;
use tidegate::proxy::Chain;
use tidegate::proxy::route::{Routes, Target};
use tidegate::service::spec::{Forward, RouteSpec, ServiceName};

fn routes(count: usize) -> Routes {
    Routes::new((0..count).map(|number| {
        let spec = RouteSpec {
            host: Some(format!("shop-{}.example.com", number / 10)),
            path: format!("/api/v1/part-{}", number % 10),
            keeps_encoded_slashes: false,
        };
        let target = Target {
            service: ServiceName::new(format!("shop-{number}")),
            forward: Forward::default(),
            scaler: None,
            chain: Chain::default(),
            keeps_encoded_slashes: false,
        };
        (vec![spec], Arc::new(target))
    }))
}

pub fn measure(criterion: &mut Criterion) {
    let host = "shop-0.example.com:8080";
    for count in [1, 10, 100, 1000, 10_000] {
        let routes = routes(count);
        let found = |path| routes.find(black_box(host), black_box(path)).is_some();
        let path = "/api/v1/part-0/things/17";
        assert!(found(path));
        criterion.bench_function(&format!("route, {count} routes"), |bencher| {
            bencher.iter(|| found(path));
        });
    }
    let routes = routes(10_000);
    let long = "/a".repeat(4000);
    criterion.bench_function("route, a path of 4000 segments", |bencher| {
        bencher.iter(|| routes.find(black_box(host), black_box(&long)).is_some());
    });
}
