//! gRPC through the real binary: refusals in its words, gRPC-web, and what its statuses teach.

use crate::support::client::raw_bytes;
use crate::support::edge::Edge;
use crate::support::free_port;
use crate::support::h2::{Client, data};
use crate::support::h2_replica::H2Replica;
use crate::support::until;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Request, StatusCode};
use std::net::SocketAddr;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
/// A message of two bytes.
const MESSAGE: &[u8] = b"\0\0\0\0\x02hi";

async fn edge(addresses: &[SocketAddr], more: &str) -> Edge {
    let listed: Vec<_> = addresses.iter().map(|at| format!("\"{at}\"")).collect();
    let edge = Edge::start(&format!(
        "services:\n  api:\n    addresses: [{}]\n    protocol: h2\n    routes: [{{ path: / }}]\n    \
         healthcheck: {{ type: tcp, interval: 60s }}\n{more}",
        listed.join(", ")
    ))
    .await;
    edge.listening().await;
    edge
}

fn call(path: &str) -> http::request::Builder {
    Request::post(format!("http://api.example{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
}

#[tokio::test]
async fn refusals_are_told_in_its_own_words() {
    let replica = H2Replica::start("A").await;
    let closed = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let slow = "    read_timeout: 200ms\n    retries: { attempts: 1 }\n";
    let small = "    max_request_body: 4B\n";
    let elsewhere = "    hold: { timeout: 0s }\n";
    for (address, more, path, status, expected) in [
        (closed, elsewhere, "/x", 503, "14"),
        (replica.address, slow, "/held", 504, "4"),
        (replica.address, small, "/x", 413, "8"),
    ] {
        let edge = edge(&[address], more).await;
        if address == replica.address {
            edge.shows("api", "0=ready", SOON).await;
        }
        let client = Client::connect(edge.address).await;
        let mut begun = client.begin(call(path), false).await;
        begun
            .body
            .send_data(Bytes::from_static(MESSAGE), true)
            .expect("open");
        let (answer, trailers) = begun.whole().await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK, "{expected}");
        assert_eq!(answer.header("grpc-status"), expected);
        assert!(answer.header("grpc-message").contains(&status.to_string()));
        assert_eq!(answer.header("content-type"), "application/grpc");
        assert!(answer.body.is_empty() && trailers.is_empty());
        // Counted as what they are.
        let class = format!(
            r#"{{code="{}xx",method="POST",service="api"}} 1"#,
            status / 100
        );
        until("its class", SOON, || async {
            let metrics = crate::support::client::get(edge.admin, "/metrics")
                .await
                .text();
            metrics.contains(&class).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_ends_with_a_status() {
    let replica = H2Replica::start("A").await;
    let edge = edge(&[replica.address], "").await;
    edge.shows("api", "0=ready", SOON).await;
    let client = Client::connect(edge.address).await;
    let mut begun = client.begin(call("/breaking"), false).await;
    let (head, mut body) = begun.head().await.expect("a head").into_parts();
    assert_eq!(head.status, StatusCode::OK);
    let first = data(&mut body).await.expect("a message").expect("whole");
    assert_eq!(first, MESSAGE);
    begun
        .body
        .send_data(Bytes::from_static(MESSAGE), false)
        .expect("open");
    assert!(data(&mut body).await.is_none());
    let trailers = body.trailers().await.expect("whole").expect("trailers");
    assert_eq!(trailers["grpc-status"], "14");
}

#[tokio::test]
async fn clients_of_grpc_web_get_trailers_in_the_body() {
    let replica = H2Replica::start("A").await;
    let edge = edge(&[replica.address], "").await;
    edge.shows("api", "0=ready", SOON).await;
    let frame = b"\x80\0\0\0\x10grpc-status: 0\r\n";
    let expected = [MESSAGE, frame].concat();
    let ask = async |path: &str, content_type: &str, body: &[u8], chunked: bool| {
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\n\
             content-type: {content_type}\r\n"
        )
        .into_bytes();
        if chunked {
            request.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
            for piece in body.chunks(3) {
                request.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                request.extend_from_slice(piece);
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(b"0\r\n\r\n");
        } else {
            let length = format!("content-length: {}\r\n\r\n", body.len());
            request.extend_from_slice(length.as_bytes());
            request.extend_from_slice(body);
        }
        let answer = raw_bytes(edge.address, &request).await;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = answer.split_at(end.expect("a head") + 4);
        (String::from_utf8_lossy(head).into_owned(), body.to_vec())
    };
    for chunked in [false, true] {
        let (head, body) = ask("/echo", "application/grpc-web+proto", MESSAGE, chunked).await;
        assert!(head.contains("application/grpc-web+proto"), "{head}");
        assert!(head.contains("x-te: trailers"), "{head}");
        assert_eq!(unchunked(&body), expected);
        let encoded = BASE64_STANDARD.encode(MESSAGE);
        let (head, body) = ask(
            "/echo",
            "application/grpc-web-text",
            encoded.as_bytes(),
            chunked,
        )
        .await;
        assert!(head.contains("application/grpc-web-text"), "{head}");
        let mut found = Vec::new();
        // Each piece may have padding of its own.
        for run in unchunked(&body).chunks(4) {
            found.extend(BASE64_STANDARD.decode(run).expect("base64"));
        }
        assert_eq!(found, expected);
    }
    // A refusal of the replica's comes in the head alone.
    let (text, _) = ask("/failing", "application/grpc-web", MESSAGE, false).await;
    assert!(text.contains("grpc-status: 14\r\n"), "{text}");
    let (text, _) = ask("/echo", "application/grpc-web-text", b"!!!!", true).await;
    assert!(text.contains("grpc-status: 13"), "{text}");
}

/// The content of chunks.
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a size");
        let content = &body[end + 2..];
        whole.extend_from_slice(&content[..size]);
        body = &content[size + 2..];
    }
    whole
}

#[tokio::test]
async fn a_replica_whose_calls_fail_is_ejected() {
    let (first, second) = (H2Replica::start("A").await, H2Replica::start("B").await);
    let edge = edge(
        &[first.address, second.address],
        "    outlier_detection: { consecutive_5xx: 3, base_ejection_time: 60s }\n",
    )
    .await;
    edge.shows("api", "0=ready 1=ready", SOON).await;
    first
        .state
        .fails
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let client = Client::connect(edge.address).await;
    until("the other gets all", SOON, || async {
        let before = first.requests();
        for _ in 0..4 {
            let begun = client.begin(call("/x"), true).await;
            begun.whole().await.expect("an answer");
        }
        (first.requests() == before && before >= 3).then_some(())
    })
    .await;
}
