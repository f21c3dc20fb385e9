use super::*;
use crate::service::spec::{Balance, HashBy};
use std::time::Duration;

#[test]
fn a_service_says_which_replica_gets_a_request() {
    for (typed, expected) in [
        ("round_robin", Balance::RoundRobin),
        ("least_request", Balance::LeastRequest),
        ("{hash: address}", Balance::Hash(HashBy::Address)),
        (
            "{hash: {header: X-User}}",
            Balance::Hash(HashBy::Header("x-user".into())),
        ),
        (
            "{hash: {cookie: SID}}",
            Balance::Hash(HashBy::Cookie("SID".into())),
        ),
    ] {
        let found = spec(&web(&format!("balance: {typed}"))).forward.balance;
        assert_eq!(found, expected, "{typed}");
    }
    let forward = spec(&web("slow_start: 30s")).forward;
    assert_eq!(forward.balance, Balance::RoundRobin);
    assert_eq!(forward.slow_start, Duration::from_secs(30));
}

#[test]
fn a_word_that_is_none_of_ours_is_answered_with_ours() {
    for (keys, problem) in [
        (
            "balance: leastconn",
            "
            edge.yaml:4: services.web.balance: expected `round_robin`, `least_request` or `{ hash: … }`, found `leastconn`
              hint: use `least_request`
            ",
        ),
        (
            "balance: {hash: {header: a, cookie: b}}",
            "
            edge.yaml:4: services.web.balance.hash: expected either a header or a cookie
              hint: as in `{ hash: address }`, `{ hash: { header: x-user } }` or `{ hash: { cookie: session } }`
            ",
        ),
        (
            "balance: {hash: {cookie: a b}}",
            "
            edge.yaml:4: services.web.balance.hash.cookie: `a b` is no name of a header or a cookie
              hint: letters, digits and `-`, `_` or `.`
            ",
        ),
        (
            "balance: {hash: address}\nslow_start: 5s",
            "
            edge.yaml:5: services.web.slow_start: goes with `round_robin` and `least_request`, and this service hashes
              hint: remove the one or the other
            ",
        ),
    ] {
        check(&web(keys), problem);
    }
}
