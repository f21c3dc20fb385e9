//! Cost of a look at a request before it is routed.

use criterion::{BatchSize, Criterion};
use pingora::http::RequestHeader;
use std::hint::black_box;
use tidegate::proxy::Limits;
use tidegate::proxy::hygiene;

const LIMITS: Limits = Limits {
    header_bytes: 64 << 10,
    headers: 100,
    target_bytes: 8 << 10,
};

/// As a browser sends it.
const CLEAN: &str = "GET /api/v1/categories/books?page=2&sort=title%20asc HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://shop.example.com/api/v1/categories\r\n\
    Cookie: session=8f14e45fceea167a5a36dedd4bea2543; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\r\n";

/// Everything in it has to be spelled anew or taken out.
const DIRTY: &str = "GET //%61pi//v1/\u{e4}?x=\u{f6} HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    Connection: close, X-Hop\r\n\
    X-Hop: 1\r\n\
    Proxy: http://evil.example\r\n\
    X_Forwarded_For: 6.6.6.6\r\n\r\n";

fn parsed(text: &str) -> RequestHeader {
    let mut lines = text.split("\r\n");
    let mut words = lines.next().expect("a line").split(' ');
    let (method, target) = (words.next().expect("a word"), words.next().expect("a word"));
    let mut head = RequestHeader::build(method, target.as_bytes(), None).expect("a head");
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        head.append_header(name.to_owned(), value)
            .expect("a header");
    }
    head
}

pub fn measure(criterion: &mut Criterion) {
    let mut head = parsed(CLEAN);
    let allocated = allocation_counter::measure(|| {
        let passed = hygiene::request(black_box(&mut head), CLEAN.as_bytes(), &LIMITS);
        assert_eq!(
            passed,
            Ok(hygiene::Way::ToAService(hygiene::Slashes::Plain))
        );
    });
    assert_eq!(
        allocated.count_total, 0,
        "a clean request allocates: {allocated:?}"
    );
    println!("a clean request: 0 allocations");

    criterion.bench_function("hygiene of a clean request", |bencher| {
        let mut head = parsed(CLEAN);
        bencher.iter(|| hygiene::request(black_box(&mut head), CLEAN.as_bytes(), &LIMITS));
    });
    criterion.bench_function("hygiene of a dirty request", |bencher| {
        let heads = || parsed(DIRTY);
        let pass = |mut head| hygiene::request(black_box(&mut head), DIRTY.as_bytes(), &LIMITS);
        bencher.iter_batched(heads, pass, BatchSize::SmallInput);
    });
}
