//! Requests that are sent again when a replica fails, and those that never are, on all three ways
//! that a request may take: the short one, Pingora's and the tunnel.

use crate::support::client::raw;
use crate::support::edge::Edge;
use crate::support::recorder::Recorder;
use crate::support::websocket::question;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

/// Two replicas that record, both ready.
async fn two(more: &str) -> ([Recorder; 2], Edge) {
    let replicas = [Recorder::start().await, Recorder::start().await];
    let [a, b] = replicas.each_ref().map(|replica| replica.address);
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [\"{a}\", \"{b}\"]\n    \
         healthcheck: {{ type: tcp, interval: 60s }}\n{more}"
    ))
    .await;
    edge.shows("web", "0=ready 1=ready", SOON).await;
    (replicas, edge)
}

/// The same request on the plain way and on Pingora's.
fn both_ways(method: &str) -> [Vec<u8>; 2] {
    ["", "te: trailers\r\n"].map(|line| {
        let head = format!("{method} /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{line}");
        format!("{head}content-length: 2\r\n\r\nhi").into_bytes()
    })
}

fn requests(replicas: &[Recorder; 2]) -> usize {
    replicas.iter().map(|replica| replica.take().len()).sum()
}

#[tokio::test]
async fn an_answer_that_arrived_is_never_asked_for_again_however_malformed() {
    let (replicas, edge) = two("    max_response_body: 1KiB\n").await;
    let large = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n{}",
        "x".repeat(2000)
    );
    let malformed = [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "nonsense\r\n\r\n",
        &large,
    ];
    for answer in malformed {
        for replica in &replicas {
            replica.answers(answer);
        }
        let plain = ["GET", "PUT", "DELETE"].into_iter().flat_map(both_ways);
        for request in plain.chain([question("/x")]) {
            let asked = request.escape_ascii().to_string();
            let got = raw(edge.address, &request).await;
            assert!(got.starts_with("HTTP/1.1 502 "), "{answer:?} became {got}");
            assert_eq!(requests(&replicas), 1, "{answer:?} to {asked}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_broke_off_in_its_head_is_asked_for_again_if_the_method_allows() {
    let (replicas, edge) = two("").await;
    for replica in &replicas {
        replica.answers("HTTP/1.1 200 OK\r\ncontent-le");
    }
    for (method, again) in [("GET", true), ("POST", false)] {
        for request in both_ways(method) {
            let got = raw(edge.address, &request).await;
            assert!(got.starts_with("HTTP/1.1 502 "), "{got}");
            assert_eq!(requests(&replicas) > 1, again, "{method}");
        }
    }
}

#[tokio::test]
async fn a_replica_of_which_nothing_but_nonsense_comes_is_passed_over() {
    for way in [both_ways("GET")[0].clone(), question("/x")] {
        let ([_well, badly], edge) = two("").await;
        badly.answers("nonsense\r\n\r\n");
        for _ in 0..10 {
            raw(edge.address, &way).await;
        }
        edge.logs("is ejected for 30s: 5 answers of 5xx in a row")
            .await;
    }
}

#[tokio::test]
async fn a_declined_handshake_is_an_answer_like_any_other() {
    let ([_well, badly], edge) = two("    max_response_body: 1KiB\n").await;
    badly.answers("HTTP/1.1 500 Oh No\r\ncontent-length: 0\r\n\r\n");
    for _ in 0..10 {
        raw(edge.address, &question("/x")).await;
    }
    edge.logs("is ejected for 30s: 5 answers of 5xx in a row")
        .await;
}

#[tokio::test]
async fn a_declined_handshake_is_no_way_round_the_limit_of_answers() {
    let (replicas, edge) = two("    max_response_body: 1KiB\n").await;
    let body = "x".repeat(100_000);
    for (head, expected) in [("content-length: 100000\r\n", "502 "), ("", "200 ")] {
        for replica in &replicas {
            replica.answers(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}"));
        }
        let got = raw(edge.address, &question("/x")).await;
        assert!(got.starts_with(&format!("HTTP/1.1 {expected}")), "{got}");
        assert!(!got.contains("\r\n0\r\n"), "it must not look whole");
        assert!(got.len() < 80_000, "{}", got.len());
    }
}
