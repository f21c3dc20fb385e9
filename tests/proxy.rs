//! The real binary in front of plain addresses: what happens to requests.

use crate::support::client::{self, Connection, get, raw, send};
use crate::support::edge::Edge;
use crate::support::until;
use crate::support::upstream::Upstream;
use http::Request;
use nix::sys::signal::Signal;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

fn legacy(upstreams: &[&Upstream], more: &str) -> String {
    let addresses: Vec<String> = upstreams
        .iter()
        .map(|upstream| format!("\"{}\"", upstream.address))
        .collect();
    format!(
        "services:\n  legacy:\n    addresses: [{}]\n    healthcheck: {{ type: http, path: /api/v1/_health, interval: 100ms, timeout: 500ms }}\n{more}",
        addresses.join(", ")
    )
}

async fn names(edge: &Edge, count: usize) -> String {
    let mut names = String::new();
    for _ in 0..count {
        names.push_str(edge.get("/who").await.header("x-upstream"));
    }
    names
}

/// Three replicas, all ready.
async fn abc() -> ([Upstream; 3], Edge) {
    let upstreams = [
        Upstream::start("A").await,
        Upstream::start("B").await,
        Upstream::start("C").await,
    ];
    let edge = Edge::start(&legacy(&upstreams.each_ref(), "")).await;
    edge.shows("legacy", "0=ready 1=ready 2=ready", SOON).await;
    (upstreams, edge)
}

#[tokio::test]
async fn six_requests_go_a_b_c_a_b_c() {
    let (_upstreams, edge) = abc().await;
    let six = names(&edge, 6).await;
    assert!(
        ["ABCABC", "BCABCA", "CABCAB"].contains(&six.as_str()),
        "{six}"
    );
}

#[tokio::test]
async fn many_clients_at_once_share_the_replicas_exactly() {
    let ([a, b, c], edge) = abc().await;
    let clients = (0..12).map(|_| async {
        let mut connection = Connection::open(edge.address).await.unwrap();
        for _ in 0..50 {
            assert_eq!(connection.get("/x").await.unwrap().status, 200);
        }
    });
    futures_util::future::join_all(clients).await;
    assert_eq!([a.requests(), b.requests(), c.requests()], [200, 200, 200]);
}

#[tokio::test]
async fn methods_bodies_and_headers_arrive_intact() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&legacy(&[&a], "")).await;
    edge.ready().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let body = if method == "GET" {
            String::new()
        } else {
            "body ".repeat(30_000)
        };
        let request = Request::builder()
            .method(method)
            .uri("/some/path?q=1&r=%20")
            .header("host", "example.com:8080")
            .header("x-own", "kept")
            .header("cookie", "a=1");
        let told = send(edge.address, request, body.clone()).await.json();
        assert_eq!(told["method"], method);
        assert_eq!(told["target"], "/some/path?q=1&r=%20");
        assert_eq!(told["body"].as_str().unwrap().len(), body.len());
        assert_eq!(header(&told, "x-own"), ["kept"]);
        assert_eq!(header(&told, "host"), ["example.com:8080"]);
        assert_eq!(header(&told, "x-forwarded-host"), ["example.com:8080"]);
    }
}

fn header(told: &serde_json::Value, name: &str) -> Vec<String> {
    let headers = told["headers"].as_array().unwrap();
    let named = headers.iter().filter(|pair| pair[0] == name);
    named
        .map(|pair| pair[1].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_edge_says_who_the_client_is_and_not_the_client() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&legacy(&[&a], "")).await;
    edge.ready().await;
    let request = Request::get("/x")
        .header("x-forwarded-for", "6.6.6.6")
        .header("X-Forwarded-Proto", "https")
        .header("forwarded", "for=6.6.6.6")
        .header("x-real-ip", "6.6.6.6")
        .header("x-request-id", "forged")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("keep-alive", "timeout=5");
    let answer = send(edge.address, request, "").await;
    let told = answer.json();
    assert_eq!(header(&told, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(header(&told, "x-forwarded-proto"), ["http"]);
    let id = header(&told, "x-request-id");
    assert!(id.len() == 1 && id[0] != "forged", "{id:?}");
    assert_eq!(answer.header("x-request-id"), id[0]);
    for gone in [
        "forwarded",
        "x-real-ip",
        "x-hop",
        "keep-alive",
        "connection",
    ] {
        assert_eq!(header(&told, gone), Vec::<String>::new(), "{gone}");
    }
}

#[tokio::test]
async fn a_path_that_no_route_claims_is_404_and_the_root_is_a_small_page_of_our_own() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&legacy(&[&a], "    routes: [{ path: /api/v1 }]\n")).await;
    edge.ready().await;
    assert_eq!(edge.get("/api/v1/x").await.status, 200);
    let unclaimed = edge.get("/api/v2").await;
    assert_eq!(unclaimed.status, 404);
    assert_ne!(unclaimed.header("x-request-id"), "");
    let page = edge.get("/").await;
    assert_eq!(page.status, 200);
    let all = format!("{:?}{}", page.headers, page.text()).to_lowercase();
    for name in ["tidegate", "pingora", "rust", env!("CARGO_PKG_VERSION")] {
        assert!(!all.contains(name), "the page names {name}");
    }
    assert_eq!(a.requests(), 1);
}

#[tokio::test]
async fn a_refused_connection_is_tried_on_another_replica_whatever_the_method() {
    let (a, b) = (Upstream::start("A").await, Upstream::start("B").await);
    // No health check comes in between: it is the retry that saves the requests.
    let services = legacy(&[&a, &b], "").replace("interval: 100ms", "interval: 60s");
    let edge = Edge::start(&services).await;
    edge.shows("legacy", "0=ready 1=ready", SOON).await;
    b.stop().await;
    for _ in 0..6 {
        let answer = send(edge.address, Request::post("/x"), "y".repeat(100_000)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("x-upstream")),
            (200, "A")
        );
    }
}

#[tokio::test]
async fn when_every_attempt_fails_the_answer_is_502() {
    let a = Upstream::start("A").await;
    let services = legacy(&[&a], "").replace("interval: 100ms", "interval: 60s");
    let edge = Edge::start(&services).await;
    edge.ready().await;
    a.stop().await;
    let answer = edge.get("/x").await;
    assert_eq!(answer.status, 502);
    assert_ne!(answer.header("x-request-id"), "");
}

#[tokio::test]
async fn a_sick_replica_leaves_rotation_and_comes_back() {
    let (a, b) = (Upstream::start("A").await, Upstream::start("B").await);
    let edge = Edge::start(&legacy(&[&a, &b], "")).await;
    edge.shows("legacy", "0=ready 1=ready", SOON).await;
    b.set_healthy(false);
    edge.shows("legacy", "0=ready 1=sick", SOON).await;
    assert_eq!(names(&edge, 4).await, "AAAA");
    b.set_healthy(true);
    edge.shows("legacy", "0=ready 1=ready", SOON).await;
    assert!(names(&edge, 4).await.contains('B'));
}

#[tokio::test]
async fn without_a_ready_replica_the_answer_is_503_with_retry_after_and_the_connection_stays() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&legacy(&[&a], "")).await;
    edge.ready().await;
    a.set_healthy(false);
    edge.shows("legacy", "0=sick", SOON).await;
    let mut connection = Connection::open(edge.address).await.unwrap();
    for _ in 0..2 {
        let answer = connection.get("/x").await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), answer.header("retry-after")),
            (503, "1")
        );
    }
    assert_eq!(get(edge.admin, "/readyz").await.status, 503);
}

#[tokio::test]
async fn a_replica_that_does_not_answer_in_time_is_504() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&legacy(&[&a], "    read_timeout: 300ms\n")).await;
    edge.ready().await;
    assert_eq!(edge.get("/slow").await.status, 504);
}

#[tokio::test]
async fn bodies_and_headers_have_limits() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&legacy(&[&a], "    max_request_body: 10KiB\n")).await;
    edge.ready().await;
    let announced = send(edge.address, Request::post("/x"), vec![b'x'; 10 * 1024 + 1]).await;
    assert_eq!(announced.status, 413);
    // A body that announces too much is refused before any of it comes.
    let unsent = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10241\r\n\r\n";
    let unsent = raw(edge.address, unsent).await;
    assert!(unsent.starts_with("HTTP/1.1 413"), "{unsent}");
    let fits = send(edge.address, Request::post("/x"), vec![b'x'; 10 * 1024]).await;
    assert_eq!(fits.status, 200);

    let mut chunked = b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..11 {
        chunked.extend(b"400\r\n");
        chunked.extend([b'x'; 0x400]);
        chunked.extend(b"\r\n");
    }
    chunked.extend(b"0\r\n\r\n");
    let counted = raw(edge.address, &chunked).await;
    assert!(counted.starts_with("HTTP/1.1 413"), "{counted}");

    let long = send(
        edge.address,
        Request::get("/x").header("x-long", "x".repeat(70_000)),
        "",
    )
    .await;
    assert_eq!(long.status, 431);
}

#[tokio::test]
async fn malformed_requests_are_refused_and_nothing_hangs() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&legacy(&[&a], "")).await;
    edge.ready().await;
    let cases: [&[u8]; 8] = [
        b"nonsense\r\n\r\n",
        b"GET /x HTTP/9.9\r\nhost: a\r\n\r\n",
        b"GET /x HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n",
        b"GET /a/../b HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /a/%2e%2E/b HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcde",
        b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
        b"GET /x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    ];
    for case in cases {
        let closing = [case, b""].concat();
        let answer = tokio::time::timeout(SOON, raw(edge.address, &closing)).await;
        let answer = answer.expect("it hangs");
        assert!(
            answer.starts_with("HTTP/1.1 4") || answer.is_empty(),
            "{:?} got {answer}",
            String::from_utf8_lossy(case)
        );
    }
    assert_eq!(a.requests(), 0);
    assert_eq!(edge.get("/x").await.status, 200);
}

#[tokio::test]
async fn term_finishes_what_is_in_flight_and_leaves_as_soon_as_it_is_done() {
    let a = Upstream::start("A").await;
    let mut edge = Edge::start(&legacy(&[&a], "")).await;
    edge.ready().await;
    let address = edge.address;
    let held = tokio::spawn(async move { get(address, "/held").await });
    until("the request is inside", SOON, || async {
        (a.requests() == 1).then_some(())
    })
    .await;
    edge.signal(Signal::SIGTERM);
    until("new connections are refused", SOON, || async {
        Connection::open(address).await.is_err().then_some(())
    })
    .await;
    assert!(!held.is_finished());
    a.release();
    let answer = held.await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(edge.ended(SOON).await, Some(0));
}

#[tokio::test]
async fn a_second_int_leaves_at_once() {
    let a = Upstream::start("A").await;
    let mut edge = Edge::start(&legacy(&[&a], "")).await;
    edge.ready().await;
    let address = edge.address;
    let held = tokio::spawn(async move {
        let mut connection = Connection::open(address).await.unwrap();
        connection.get("/held").await
    });
    until("the request is inside", SOON, || async {
        (a.requests() == 1).then_some(())
    })
    .await;
    edge.signal(Signal::SIGINT);
    until("it drains", SOON, || async {
        edge.log().contains("INT: finishing").then_some(())
    })
    .await;
    edge.signal(Signal::SIGINT);
    assert_eq!(edge.ended(SOON).await, Some(130));
    assert!(held.await.unwrap().is_err());
}

#[tokio::test]
async fn hup_swaps_a_good_file_and_keeps_what_a_bad_one_would_have_broken() {
    let (a, b) = (Upstream::start("A").await, Upstream::start("B").await);
    let edge = Edge::start(&legacy(&[&a], "    routes: [{ path: /one }]\n")).await;
    edge.ready().await;
    let mut connection = Connection::open(edge.address).await.unwrap();
    assert_eq!(
        connection.get("/one").await.unwrap().header("x-upstream"),
        "A"
    );

    edge.write(&legacy(&[&a], "    nonsense: true\n"));
    edge.signal(Signal::SIGHUP);
    until("the bad file is refused", SOON, || async {
        let failed = edge.metric("tidegate_config_last_reload_successful").await;
        (failed == Some(0.0)).then_some(())
    })
    .await;
    edge.logs("nonsense").await;
    assert_eq!(
        connection.get("/one").await.unwrap().header("x-upstream"),
        "A"
    );

    edge.write(&legacy(&[&b], "    routes: [{ path: /two }]\n"));
    edge.signal(Signal::SIGHUP);
    until("the new route leads to the new address", SOON, || async {
        let answer = edge.get("/two").await;
        (answer.header("x-upstream") == "B").then_some(())
    })
    .await;
    // The very connection of before goes on.
    assert_eq!(connection.get("/one").await.unwrap().status, 404);
    assert_eq!(
        edge.metric("tidegate_config_last_reload_successful").await,
        Some(1.0)
    );
}

#[tokio::test]
async fn an_open_answer_survives_a_reload_that_removes_its_service() {
    let (a, b) = (Upstream::start("A").await, Upstream::start("B").await);
    let edge = Edge::start(&legacy(&[&a], "")).await;
    edge.ready().await;
    let address = edge.address;
    let held = tokio::spawn(async move { get(address, "/held").await });
    until("the request is inside", SOON, || async {
        (a.requests() == 1).then_some(())
    })
    .await;
    edge.write(&legacy(&[&b], "").replace("legacy", "other"));
    edge.signal(Signal::SIGHUP);
    until("the other service answers", SOON, || async {
        (edge.get("/x").await.header("x-upstream") == "B").then_some(())
    })
    .await;
    a.release();
    assert_eq!(held.await.unwrap().header("x-upstream"), "A");
}

#[tokio::test]
async fn a_large_answer_and_a_head_request_come_through() {
    let a = Upstream::start("A").await;
    let edge = Edge::start(&legacy(&[&a], "")).await;
    edge.ready().await;
    assert_eq!(edge.get("/big").await.body.len(), 1 << 20);
    let head = client::send(edge.address, Request::head("/big"), "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn a_refused_connection_has_the_replica_asked_after_its_health_at_once() {
    let (a, b) = (Upstream::start("A").await, Upstream::start("B").await);
    // By its own clock the health check would look in a minute.
    let services = legacy(&[&a, &b], "").replace("interval: 100ms", "interval: 60s");
    let edge = Edge::start(&services).await;
    edge.shows("legacy", "0=ready 1=ready", SOON).await;
    b.stop().await;
    assert_eq!(names(&edge, 2).await, "AA");
    edge.shows("legacy", "0=ready 1=sick", SOON).await;
}
