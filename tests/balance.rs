//! Which replica a request goes to, and how many it may have: the real binary in front of plain
//! addresses.

use crate::support::client::{get, send};
use crate::support::edge::Edge;
use crate::support::until;
use crate::support::upstream::Upstream;
use crate::support::websocket::{Chat, open};
use http::Request;
use std::collections::BTreeSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

async fn edge_before(upstreams: &[&Upstream], more: &str) -> Edge {
    let addresses: Vec<String> = upstreams
        .iter()
        .map(|upstream| format!("\"{}\"", upstream.address))
        .collect();
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [{}]\n    healthcheck: {{ type: http, path: /api/v1/_health }}\n{more}",
        addresses.join(", ")
    ))
    .await;
    let ready: Vec<String> = (0..upstreams.len()).map(|n| format!("{n}=ready")).collect();
    edge.shows("web", &ready.join(" "), SOON).await;
    edge
}

async fn metric(edge: &Edge, name: &str, value: f64) {
    until(name, SOON, || async {
        let found = edge.metric(&format!("{name}{{service=\"web\"}}")).await;
        (found == Some(value)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_over_the_limit_waits_at_the_edge_and_goes_when_a_place_is_free() {
    let [a, b] = [Upstream::start("A").await, Upstream::start("B").await];
    let more = "    container_concurrency: 2\n    hold: { timeout: 8s, max: 3 }\n";
    let edge = edge_before(&[&a, &b], more).await;
    let address = edge.address;
    let ask = move || tokio::spawn(async move { get(address, "/held").await });
    let asked: Vec<_> = (0..4).map(|_| ask()).collect();
    metric(&edge, "tidegate_http_requests_in_flight", 4.0).await;
    let waiting: Vec<_> = (0..3).map(|_| ask()).collect();
    metric(&edge, "tidegate_held_requests", 3.0).await;
    assert_eq!([a.requests(), b.requests()], [2, 2]);
    // There is no room for a fourth in the line.
    let refused = get(address, "/x").await;
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), "1");
    until("the status says why", SOON, || async {
        let because = edge.service("web").await["because"].to_string();
        because
            .contains("3 waiting for a place: 2 at once for each replica")
            .then_some(())
    })
    .await;

    // One place at B, and two more.
    b.release();
    metric(&edge, "tidegate_held_requests", 2.0).await;
    assert_eq!([a.requests(), b.requests()], [2, 3]);
    for _ in 0..2 {
        b.release();
    }
    metric(&edge, "tidegate_held_requests", 0.0).await;
    assert_eq!([a.requests(), b.requests()], [2, 5]);
    for upstream in [&a, &b] {
        for _ in 0..2 {
            upstream.release();
        }
    }
    for answer in asked.into_iter().chain(waiting) {
        assert_eq!(answer.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_websocket_takes_a_place_for_as_long_as_it_lasts() {
    let chat = Chat::start().await;
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [\"{}\"]\n    container_concurrency: 1\n    hold: {{ timeout: 8s }}\n",
        chat.address
    ))
    .await;
    edge.ready().await;
    let (socket, _) = open(edge.address, "/echo").await.expect("a tunnel");
    let address = edge.address;
    let second = tokio::spawn(async move { open(address, "/echo").await.is_ok() });
    metric(&edge, "tidegate_held_requests", 1.0).await;
    drop(socket);
    assert!(second.await.unwrap(), "it has the place now");
}

#[tokio::test]
async fn with_least_request_nobody_is_sent_to_who_is_busy_while_others_are_not() {
    let [a, b] = [Upstream::start("A").await, Upstream::start("B").await];
    let edge = edge_before(&[&a, &b], "    balance: least_request\n").await;
    let address = edge.address;
    let held = tokio::spawn(async move { get(address, "/held").await });
    until("one of them is busy", SOON, || async {
        (a.requests() + b.requests() == 1).then_some(())
    })
    .await;
    for _ in 0..10 {
        // An answer is there a moment before its place is free again.
        metric(&edge, "tidegate_http_requests_in_flight", 1.0).await;
        assert_eq!(edge.get("/x").await.status, 200);
    }
    let both = BTreeSet::from([a.requests(), b.requests()]);
    assert_eq!(both, BTreeSet::from([1, 10]));
    a.release();
    b.release();
    assert_eq!(held.await.unwrap().status, 200);
}

/// The replica that answers a request, with a body or without, that carries this cookie.
async fn who(edge: &Edge, method: &str, cookie: Option<&str>) -> String {
    let mut request = Request::builder().method(method).uri("/who");
    if let Some(cookie) = cookie {
        request = request.header("cookie", format!("theme=dark; session={cookie}"));
    }
    let answer = send(edge.address, request, String::new()).await;
    assert_eq!(answer.status, 200);
    answer.header("x-upstream").to_owned()
}

#[tokio::test]
async fn a_session_stays_with_its_replica_until_that_one_fails() {
    let upstreams = [
        Upstream::start("A").await,
        Upstream::start("B").await,
        Upstream::start("C").await,
    ];
    let more = "    balance: { hash: { cookie: session } }\n";
    let edge = edge_before(&upstreams.each_ref(), more).await;
    let mut before = Vec::new();
    for client in 0..30 {
        let client = client.to_string();
        let own = who(&edge, "GET", Some(&client)).await;
        // Whichever way it is passed on.
        for method in ["GET", "POST", "GET"] {
            assert_eq!(who(&edge, method, Some(&client)).await, own, "{client}");
        }
        before.push((client, own));
    }
    let met: BTreeSet<_> = before.iter().map(|(_, own)| own.as_str()).collect();
    assert_eq!(met, BTreeSet::from(["A", "B", "C"]));
    let mut without = BTreeSet::new();
    for _ in 0..3 {
        without.insert(who(&edge, "GET", None).await);
    }
    assert_eq!(without.len(), 3, "who has no session takes turns");

    upstreams[1].set_healthy(false);
    edge.shows("web", "0=ready 1=sick 2=ready", SOON).await;
    for (client, own) in before {
        let now = who(&edge, "GET", Some(&client)).await;
        assert!(now == own || own == "B" && now != "B", "{own} -> {now}");
    }
}
