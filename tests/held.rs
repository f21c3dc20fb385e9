//! Clients that leave while their request waits, or when it was sent: no replica works for nobody,
//! and none has more at work than it should.

use crate::support::client::send;
use crate::support::edge::Edge;
use crate::support::until;
use crate::support::upstream::Upstream;
use http::Request;
use socket2::SockRef;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const SOON: Duration = Duration::from_secs(10);

/// The same request on the plain way, on Pingora's without and with more to read behind its head,
/// and as a handshake.
fn ways(method: &str, path: &str) -> Vec<String> {
    let head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\n");
    vec![
        format!("{head}content-length: 5\r\n\r\nhello"),
        format!("{head}te: trailers\r\n\r\n"),
        format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
        ),
    ]
}

async fn edge(web: &Upstream, limit: u32) -> Edge {
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [\"{}\"]\n    container_concurrency: {limit}\n    \
         hold: {{ max: 20, timeout: 60s }}\n",
        web.address
    ))
    .await;
    edge.ready().await;
    edge
}

async fn asks(edge: &Edge, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(edge.address)
        .await
        .expect("a connection");
    let written = stream.write_all(request.as_bytes()).await;
    written.expect("it is open");
    stream
}

async fn held(edge: &Edge, expected: f64) {
    until(&format!("{expected} are held"), SOON, || async {
        let held = edge.metric("tidegate_held_requests{service=\"web\"}").await;
        (held == Some(expected)).then_some(())
    })
    .await;
}

async fn has_got(web: &Upstream, expected: u64) {
    until(&format!("{expected} came"), SOON, || async {
        (web.requests() == expected).then_some(())
    })
    .await;
}

/// Ends the connection without a word, and with unread bytes if any.
fn reset(stream: TcpStream) {
    let linger = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    linger.expect("an option");
    drop(stream);
}

#[tokio::test]
async fn a_request_whose_client_leaves_while_it_waits_makes_room_and_is_never_sent() {
    for leave in [drop::<TcpStream>, reset] {
        let web = Upstream::start("A").await;
        let edge = edge(&web, 1).await;
        let first = asks(&edge, &ways("GET", "/held")[0]).await;
        has_got(&web, 1).await;
        for request in ways("POST", "/left") {
            let mut waiting = Vec::new();
            for _ in 0..20 {
                waiting.push(asks(&edge, &request).await);
            }
            held(&edge, 20.0).await;
            waiting.into_iter().for_each(leave);
            held(&edge, 0.0).await;
        }
        let address = edge.address;
        let asked = tokio::spawn(async move { send(address, Request::post("/x"), "hi").await });
        held(&edge, 1.0).await;
        web.release();
        assert_eq!(asked.await.expect("an answer").status, 200);
        assert_eq!(web.requests(), 2, "nobody's requests were sent");
        drop(first);
    }
}

#[tokio::test]
async fn a_replica_keeps_a_place_taken_until_it_is_done_though_the_client_has_left() {
    for leave in [drop::<TcpStream>, reset] {
        for request in ways("POST", "/held") {
            let web = Upstream::start("A").await;
            let edge = edge(&web, 4).await;
            let mut sent = Vec::new();
            for _ in 0..4 {
                sent.push(asks(&edge, &request).await);
            }
            has_got(&web, 4).await;
            sent.into_iter().for_each(leave);
            let address = edge.address;
            let asked = tokio::spawn(async move { send(address, Request::get("/x"), "").await });
            held(&edge, 1.0).await;
            assert_eq!(web.requests(), 4, "no more are at work than it should have");
            web.release();
            assert_eq!(asked.await.expect("an answer").status, 200);
            assert_eq!(web.requests(), 5);
        }
    }
}
