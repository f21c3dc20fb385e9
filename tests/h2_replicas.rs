//! Replicas that speak HTTP/2: one stream a request, from clients of either protocol.

use crate::support::client::{Connection, get, raw};
use crate::support::edge::Edge;
use crate::support::h2::{Client, data};
use crate::support::h2_replica::H2Replica;
use crate::support::until;
use bytes::Bytes;
use futures_util::future::join_all;
use h2::server::Builder;
use http::{HeaderMap, Request, StatusCode};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const IN_FLIGHT: &str = r#"tidegate_replica_requests_in_flight{service="web",slot="0"}"#;

async fn edge(addresses: &[SocketAddr], more: &str) -> Edge {
    let listed: Vec<_> = addresses.iter().map(|at| format!("\"{at}\"")).collect();
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [{}]\n    protocol: h2\n    \
         healthcheck: {{ type: tcp, interval: 60s }}\n{more}",
        listed.join(", ")
    ))
    .await;
    let states: Vec<_> = (0..addresses.len())
        .map(|at| format!("{at}=ready"))
        .collect();
    edge.shows("web", &states.join(" "), SOON).await;
    edge
}

fn post(path: &str) -> http::request::Builder {
    Request::post(format!("http://web.example{path}"))
}

fn value<'a>(list: &'a serde_json::Value, name: &str) -> Option<&'a str> {
    let mut pairs = list.as_array().expect("a list").iter();
    pairs.find(|pair| pair[0] == name)?[1].as_str()
}

#[tokio::test]
async fn a_request_of_http2_arrives_as_it_is_and_its_answer_too() {
    let replica = H2Replica::start("A").await;
    let edge = edge(&[replica.address], "").await;
    let client = Client::connect(edge.address).await;
    let request = post("/x?y=1")
        .header("te", "trailers")
        .header("x-own", "mine");
    let mut begun = client.begin(request, false).await;
    begun.body.send_data("hello".into(), false).expect("open");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-behind", "yes".parse().expect("a value"));
    begun.body.send_trailers(trailers).expect("open");
    let (answer, trailers) = begun.whole().await.expect("an answer");
    assert_eq!(answer.header("x-replica"), "A");
    assert!(!answer.headers.contains_key("transfer-encoding"));
    assert_eq!(trailers["x-sum"], "7");
    let told = answer.json();
    assert_eq!(told["method"], "POST");
    assert_eq!(told["uri"], "http://web.example/x?y=1");
    assert_eq!(told["body"], "hello");
    assert_eq!(value(&told["headers"], "te"), Some("trailers"));
    assert_eq!(value(&told["headers"], "x-own"), Some("mine"));
    assert_eq!(
        value(&told["headers"], "x-forwarded-for"),
        Some("127.0.0.1")
    );
    for name in ["host", "transfer-encoding", "connection"] {
        assert_eq!(value(&told["headers"], name), None, "{name}");
    }
    assert_eq!(value(&told["trailers"], "x-behind"), Some("yes"));
}

#[tokio::test]
async fn a_request_of_http1_arrives_as_it_is_and_its_answer_too() {
    let replica = H2Replica::start("A").await;
    let edge = edge(&[replica.address], "").await;
    let mut client = Connection::open(edge.address).await.expect("connected");
    for _ in 0..3 {
        let answer = client.get("/x?y=1").await.expect("an answer");
        assert_eq!(
            (answer.status, answer.header("x-replica")),
            (StatusCode::OK, "A")
        );
        let told = answer.json();
        assert_eq!(
            (&told["method"], &told["body"]),
            (&"GET".into(), &"".into())
        );
        assert_eq!(value(&told["headers"], "x-forwarded-proto"), Some("http"));
    }
    assert_eq!((replica.connections(), replica.requests()), (1, 3));
    let chunked = "POST /x HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\
        transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-behind: yes\r\n\r\n";
    let text = raw(edge.address, chunked.as_bytes()).await;
    assert!(
        text.contains("hello") && text.contains("x-behind"),
        "{text}"
    );
    assert!(
        text.ends_with("\r\n0\r\nx-sum: 7\r\ngrpc-status: 0\r\n\r\n"),
        "{text}"
    );
    let sized = "POST /x HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\
        content-length: 5\r\n\r\nhello";
    let text = raw(edge.address, sized.as_bytes()).await;
    assert!(text.contains(r#"["content-length","5"]"#), "{text}");
    // Another form of target takes Pingora's way.
    let absolute = "GET http://web.example/abs HTTP/1.1\r\nhost: web.example\r\n\
        connection: close\r\n\r\n";
    let text = raw(edge.address, absolute.as_bytes()).await;
    assert!(text.contains("web.example/abs"), "{text}");
    let head = "HEAD /x HTTP/1.1\r\nhost: web.example\r\nconnection: close\r\n\r\n";
    let text = raw(edge.address, head.as_bytes()).await;
    assert!(
        text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n"),
        "{text}"
    );
}

#[tokio::test]
async fn both_sides_may_speak_in_turns() {
    let replica = H2Replica::start("A").await;
    let edge = edge(&[replica.address], "").await;
    let client = Client::connect(edge.address).await;
    let mut begun = client.begin(post("/echo"), false).await;
    let (head, mut body) = begun.head().await.expect("a head").into_parts();
    assert_eq!(head.status, StatusCode::OK);
    for number in 0..100 {
        let said = Bytes::from(format!("message {number}"));
        begun.body.send_data(said.clone(), false).expect("open");
        assert_eq!(data(&mut body).await.expect("more").expect("whole"), said);
    }
    begun.body.send_data(Bytes::new(), true).expect("open");
    assert!(data(&mut body).await.is_none());
    let trailers = body.trailers().await.expect("whole").expect("trailers");
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let replica = H2Replica::start("A").await;
    let edge = edge(&[replica.address], "").await;
    let client = Client::connect(edge.address).await;
    let body = Bytes::from(vec![b'x'; 3 << 20]);
    let mut begun = client.begin(post("/echo"), false).await;
    begun.body.send_data(body.clone(), true).expect("open");
    let (answer, _) = begun.whole().await.expect("an answer");
    assert_eq!(answer.body.len(), body.len());
}

#[tokio::test]
async fn streams_fill_a_connection_before_there_is_another_one() {
    let mut builder = Builder::new();
    builder.max_concurrent_streams(10);
    let replica = H2Replica::start_with("A", builder, None).await;
    let edge = edge(&[replica.address], "").await;
    let asked = (0..25).map(|_| get(edge.address, "/held"));
    let asked = tokio::spawn(join_all(asked.collect::<Vec<_>>()));
    until("all of them are there", SOON, || async {
        (replica.requests() == 25).then_some(())
    })
    .await;
    assert_eq!(replica.connections(), 3);
    let in_flight = edge.metric(IN_FLIGHT).await;
    assert_eq!(in_flight, Some(25.0));
    replica.release();
    for answer in asked.await.expect("no panic") {
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_stream_along() {
    let replica = H2Replica::start("A").await;
    let edge = edge(&[replica.address], "").await;
    let client = Client::connect(edge.address).await;
    let begun = client.begin(post("/held"), true).await;
    let mut other = TcpStream::connect(edge.address).await.expect("connected");
    let request = "GET /held HTTP/1.1\r\nhost: web.example\r\n\r\n";
    other.write_all(request.as_bytes()).await.expect("open");
    until("both are there", SOON, || async {
        (replica.requests() == 2).then_some(())
    })
    .await;
    drop(begun);
    drop(other);
    until("both are taken back", SOON, || async {
        (replica.resets() == 2).then_some(())
    })
    .await;
    // Others on the connection never notice.
    let answer = client.get("/x").await.expect("an answer");
    assert_eq!((answer.status, replica.connections()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_refused_stream_goes_elsewhere_whatever_its_method() {
    let (first, second) = (H2Replica::start("A").await, H2Replica::start("B").await);
    let edge = edge(&[first.address, second.address], "").await;
    first
        .state
        .refuses
        .store(1000, std::sync::atomic::Ordering::Relaxed);
    let client = Client::connect(edge.address).await;
    for _ in 0..4 {
        let answer = client.send(post("/x"), "hello").await.expect("an answer");
        assert_eq!(answer.header("x-replica"), "B");
        assert_eq!(answer.json()["body"], "hello");
    }
    assert_eq!(first.requests(), 0);
}

#[tokio::test]
async fn a_connection_that_the_replica_ends_finishes_what_is_on_it() {
    let replica = H2Replica::start("A").await;
    let edge = edge(&[replica.address], "").await;
    let client = Client::connect(edge.address).await;
    let held = client.begin(post("/held"), true).await;
    until("it is there", SOON, || async {
        (replica.requests() == 1).then_some(())
    })
    .await;
    replica.leave();
    until("a new connection", SOON, || async {
        let answer = client.send(post("/x"), "hello").await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK);
        (replica.connections() == 2).then_some(())
    })
    .await;
    replica.release();
    let (answer, _) = held.whole().await.expect("an answer");
    assert_eq!(answer.status, StatusCode::OK);
}

/// A replica of frames: it settles, answers pings, and ends the connection at the first request,
/// of which it says that it has not begun with it.
async fn goes_away() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            tokio::spawn(go_away(stream));
        }
    });
    address
}

async fn go_away(mut stream: TcpStream) -> Option<()> {
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.ok()?;
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.ok()?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.ok()?;
        match (head[3], head[4]) {
            (4, 0) => stream.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).await.ok()?,
            (6, 0) => {
                let pong = [&[0, 0, 8, 6, 1, 0, 0, 0, 0], &payload[..]].concat();
                stream.write_all(&pong).await.ok()?;
            }
            (1, _) => {
                // Last stream 0, NO_ERROR.
                let bye = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                stream.write_all(&bye).await.ok()?;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_stream_behind_the_last_of_a_goaway_goes_elsewhere_whatever_its_method() {
    let (away, replica) = (goes_away().await, H2Replica::start("B").await);
    let edge = edge(&[away, replica.address], "").await;
    let client = Client::connect(edge.address).await;
    for _ in 0..4 {
        let answer = client.send(post("/x"), "hello").await.expect("an answer");
        assert_eq!(answer.header("x-replica"), "B");
    }
    assert_eq!(replica.requests(), 4);
}

#[tokio::test]
async fn a_silent_stream_is_given_up_alone() {
    let replica = H2Replica::start("A").await;
    let edge = edge(
        &[replica.address],
        "    read_timeout: 300ms\n    retries: { attempts: 1 }\n",
    )
    .await;
    let client = Client::connect(edge.address).await;
    let answer = client.get("/held").await.expect("an answer");
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    until("it is taken back", SOON, || async {
        (replica.resets() == 1).then_some(())
    })
    .await;
    assert_eq!(
        client.get("/x").await.expect("an answer").status,
        StatusCode::OK
    );
    assert_eq!(replica.connections(), 1);
}

#[tokio::test]
async fn requests_of_a_lost_replica_are_taken_back() {
    let (mut first, second) = (H2Replica::start("A").await, H2Replica::start("B").await);
    let listed = [first.address, second.address].map(|at| format!("\"{at}\""));
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [{}]\n    protocol: h2\n    \
         healthcheck: {{ type: tcp, interval: 100ms }}\n",
        listed.join(", ")
    ))
    .await;
    edge.shows("web", "0=ready 1=ready", SOON).await;
    let held = tokio::spawn({
        let all = Client::connect(edge.address).await;
        async move { join_all([all.get("/held"), all.get("/held")]).await }
    });
    until("one each", SOON, || async {
        (first.requests() == 1 && second.requests() == 1).then_some(())
    })
    .await;
    // Its connections stay open, and nobody answers on them: the replica hangs.
    first.stop_listening().await;
    until("the other has both", SOON, || async {
        (second.requests() == 2).then_some(())
    })
    .await;
    second.release();
    for answer in held.await.expect("no panic") {
        let answer = answer.expect("an answer");
        assert_eq!(
            (answer.status, answer.header("x-replica")),
            (StatusCode::OK, "B")
        );
    }
}

#[tokio::test]
async fn a_replica_that_does_not_speak_it_is_found_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepted");
            tokio::spawn(async move {
                let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
                while stream
                    .read(&mut [0; 1024])
                    .await
                    .is_ok_and(|count| count > 0)
                {
                    let _ = stream.write_all(answer).await;
                }
            });
        }
    });
    let edge = edge(&[address], "").await;
    let answer = timeout(SOON, get(edge.address, "/x"))
        .await
        .expect("in time");
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    edge.logs("does not speak HTTP/2").await;
}
