//! Every way that a request may take does the same: a table of requests and replicas sent down each
//! (`table.rs`), and stories about what a table cannot show.

mod bridge;
mod edge;
mod outcome;
mod replica;
mod replies;
mod requests;
mod row;
mod stage;
mod table;
mod tls;
mod wire;

use crate::support::client::raw;
use crate::support::edge::Edge;
use crate::support::recorder::Recorder;
use crate::support::until;
use crate::support::upstream::Upstream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const SHORT: &str = "host: a\r\n";
/// `TE` is said to this hop, so the request is not plain.
const LONG: &str = "host: a\r\nte: trailers\r\n";
const TUNNEL: &str = "host: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

async fn edge(address: SocketAddr, top: &str) -> Edge {
    let edge = Edge::start(&format!(
        "{top}services:\n  web:\n    addresses: [\"{address}\"]\n    healthcheck: {{ interval: 60s }}\n"
    ))
    .await;
    edge.ready().await;
    edge
}

fn get(headers: &str) -> String {
    format!("GET /x HTTP/1.1\r\n{headers}\r\n")
}

/// Bytes until the other side closes.
async fn ask(edge: &Edge, request: &str) -> String {
    let answer = timeout(SOON, raw(edge.address, request.as_bytes())).await;
    answer.unwrap_or_else(|_| panic!("it is kept open: {request:?}"))
}

/// Bytes of a connection, until they have `part`.
async fn hears(stream: &mut TcpStream, heard: &mut Vec<u8>, part: &str) -> String {
    let reading = async {
        loop {
            let text = String::from_utf8_lossy(heard).into_owned();
            if text.contains(part) {
                return text;
            }
            let count = stream.read_buf(heard).await.expect("it is open");
            assert!(count > 0, "closed after {text:?}, without {part:?}");
        }
    };
    timeout(SOON, reading)
        .await
        .unwrap_or_else(|_| panic!("no {part:?} came"))
}

async fn says(edge: &Edge, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(edge.address).await.expect("connected");
    stream.write_all(text.as_bytes()).await.expect("it is open");
    stream
}

/// A replica that answers `begins` at once, and `ends` when it is told to.
async fn in_two_parts(begins: &str, ends: &'static str) -> (SocketAddr, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let go_on = Arc::new(Notify::new());
    let (begins, told) = (begins.to_owned(), Arc::clone(&go_on));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (begins, told) = (begins.clone(), Arc::clone(&told));
            tokio::spawn(async move {
                let mut heard = Vec::new();
                while let Ok(1..) = stream.read_buf(&mut heard).await {
                    let text = String::from_utf8_lossy(&heard).into_owned();
                    if !text.contains("\r\n\r\n") {
                        continue;
                    }
                    if text.contains("_health") {
                        let fine = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(fine).await.unwrap();
                    } else {
                        stream.write_all(begins.as_bytes()).await.unwrap();
                        told.notified().await;
                        let _ = stream.write_all(ends.as_bytes()).await;
                    }
                    heard.clear();
                }
            });
        }
    });
    (address, go_on)
}

#[tokio::test]
async fn http_1_0_is_let_go_unless_it_asks_to_stay() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "").await;
    for (request, body) in [
        ("GET /x HTTP/1.0\r\nHost: a\r\n\r\n", true),
        ("GET /x HTTP/1.0\r\n\r\n", true),
        ("HEAD /x HTTP/1.0\r\nHost: a\r\n\r\n", false),
        (
            "POST /x HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
            true,
        ),
        (
            "POST /x HTTP/1.0\r\nContent-Length: 2\r\nConnection: x\r\n\r\nab",
            true,
        ),
        (
            "GET /x HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
            true,
        ),
        ("GET /nowhere/../x HTTP/1.0\r\n\r\n", true),
    ] {
        let answer = ask(&edge, request).await;
        assert!(
            answer.contains("\r\nConnection: close\r\n"),
            "{request:?}: {answer}"
        );
        assert_eq!(!answer.ends_with("\r\n\r\n"), body, "{request:?}: {answer}");
    }
    let stays = "GET /x HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    let mut client = says(&edge, stays).await;
    for _ in 0..3 {
        let mut heard = Vec::new();
        let answer = hears(&mut client, &mut heard, "\"length\":0").await;
        assert!(
            answer.contains("\r\nConnection: keep-alive\r\n"),
            "{answer}"
        );
        client.write_all(stays.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_sent_ahead_waits_for_its_turn() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "").await;
    let long = "x".repeat(100 << 10);
    let posts = [
        "host: a\r\ncontent-length: 5\r\n\r\nhello".to_owned(),
        format!("{LONG}content-length: 5\r\n\r\nhello"),
        format!("host: a\r\ncontent-length: {}\r\n\r\n{long}", long.len()),
        format!(
            "host: a\r\ntransfer-encoding: chunked\r\n\r\n{:x};a=b\r\n{long}\r\n0\r\nx: y\r\n\r\n",
            long.len()
        ),
        format!("{LONG}\r\n"),
    ];
    let behind = [
        ("\r\n", "", ""),
        ("", SHORT, "\"target\":\"/x\""),
        ("\r\n", LONG, "\"target\":\"/x\""),
    ];
    for post in &posts {
        for (line, next, answer) in behind {
            let next = match next {
                "" => String::new(),
                headers => get(headers),
            };
            let ahead = format!("{line}{next}");
            // In one piece.
            let mut client = says(&edge, &format!("POST /first HTTP/1.1\r\n{post}{ahead}")).await;
            let mut heard = Vec::new();
            let first = hears(&mut client, &mut heard, "\"target\":\"/first\"").await;
            assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
            hears(&mut client, &mut heard, answer).await;

            // While the first one is under way.
            let before = web.requests();
            let mut client = says(&edge, &format!("POST /held HTTP/1.1\r\n{post}")).await;
            until("it is at the replica", SOON, || async {
                (web.requests() > before).then_some(())
            })
            .await;
            client.write_all(ahead.as_bytes()).await.unwrap();
            web.release();
            let mut heard = Vec::new();
            let first = hears(&mut client, &mut heard, "\"target\":\"/held\"").await;
            assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
            hears(&mut client, &mut heard, answer).await;

            // The connection is as good as before.
            client.write_all(get(SHORT).as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            hears(&mut client, &mut heard, "\"target\":\"/x\"").await;
        }
    }
}

#[tokio::test]
async fn chunks_without_a_reading_are_refused() {
    let web = Recorder::start().await;
    let edge = edge(web.address, "").await;
    for chunks in ["x\r\n", "5\r\nhello!\r\n0\r\n\r\n", "-1\r\n"] {
        let head = "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = ask(&edge, &format!("{head}{chunks}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{chunks:?}: {answer}");
    }
}

#[tokio::test]
async fn an_answer_is_on_its_way_while_its_replica_is_idle() {
    for (framing, begins, ends) in [
        ("content-length: 10", "hello", "world"),
        (
            "transfer-encoding: chunked",
            "5\r\nhello\r\n",
            "5\r\nworld\r\n0\r\n\r\n",
        ),
    ] {
        let begins = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{begins}");
        let (address, go_on) = in_two_parts(&begins, ends).await;
        let edge = edge(address, "").await;
        let upload = "host: a\r\ncontent-length: 100000\r\n";
        for headers in [SHORT, LONG, TUNNEL, upload] {
            let mut client = says(&edge, &get(headers)).await;
            let mut heard = Vec::new();
            hears(&mut client, &mut heard, "hello").await;
            go_on.notify_one();
            if headers != upload {
                hears(&mut client, &mut heard, "world").await;
            }
        }
    }
}

#[tokio::test]
async fn an_empty_line_behind_a_request_is_no_request() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "timeouts: { header: 300ms, keepalive: 1s }\n").await;
    for request in [
        "GET /x HTTP/1.1\r\nhost: a\r\n\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\nte: trailers\r\ncontent-length: 2\r\n\r\nab\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nab\r",
    ] {
        let answer = ask(&edge, request).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "{request:?}: {answer:?}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count(),
            1,
            "{request:?}: {answer:?}"
        );
    }
    // Nor is it one in front of the first.
    assert_eq!(ask(&edge, "\r\n").await, "");
    let after = ask(&edge, "\r\n\r\nGET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(after.starts_with("HTTP/1.1 200 "), "{after:?}");
    assert_eq!(ask(&edge, &"\r\n".repeat(1000)).await, "");
}

#[tokio::test]
async fn an_answer_looks_the_same_on_every_way() {
    let web = Recorder::start().await;
    let edge = edge(web.address, "").await;
    let many = |lines: usize| {
        let lines = "x-many: y\r\n".repeat(lines);
        format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\nok")
    };
    let chunked = "\r\ntransfer-encoding: chunked\r\n";
    for (answer, status, part) in [
        (many(127), 200, "\r\nx-many: y\r\n"),
        (many(200), 200, "\r\nx-many: y\r\n"),
        (many(255), 200, "\r\nx-many: y\r\n"),
        (many(300), 502, ""),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok".to_owned(),
            200,
            "\r\ncontent-length: 2\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nok".to_owned(),
            200,
            "\r\ncontent-length: 2\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2, 3\r\n\r\nok".to_owned(),
            502,
            "",
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
            200,
            "ok",
        ),
        (
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n".to_owned(),
            200,
            chunked,
        ),
        (
            format!(
                "{}{}",
                "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(3),
                many(1)
            ),
            103,
            "ok",
        ),
    ] {
        web.answers(&answer);
        for headers in [SHORT, LONG, TUNNEL] {
            let mut client = says(&edge, &get(headers)).await;
            let end = match status {
                502 => "502 Bad Gateway\n",
                _ => "ok",
            };
            let mut heard = Vec::new();
            let got = hears(&mut client, &mut heard, end).await;
            let begins = format!("HTTP/1.1 {status} ");
            assert!(got.starts_with(&begins), "{answer:?}, {headers:?}: {got}");
            let got = got.to_ascii_lowercase();
            assert!(got.contains(part), "{answer:?}, {headers:?}: {got}");
            assert!(got.matches("content-length").count() <= 1, "{got}");
        }
    }
}

#[tokio::test]
async fn interim_answers_without_end_are_no_answer() {
    let web = Recorder::start().await;
    let edge = edge(web.address, "").await;
    web.answers("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(10_000));
    for headers in [SHORT, LONG, TUNNEL] {
        let close = format!("POST /x HTTP/1.1\r\n{headers}content-length: 0\r\n\r\n");
        let request = match headers {
            TUNNEL => get(TUNNEL),
            _ => close,
        };
        let answer = ask(&edge, &request).await;
        let interim = answer.matches("HTTP/1.1 103 ").count();
        assert!((1..200).contains(&interim), "{headers:?}: {interim}");
        assert!(
            answer.contains("\r\n\r\nHTTP/1.1 502 "),
            "{headers:?}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_client_that_only_ends_its_sending_half_is_answered() {
    let begins = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello";
    let (address, go_on) = in_two_parts(begins, "world").await;
    let edge = edge(address, "").await;
    for headers in [SHORT, LONG] {
        let mut client = says(&edge, &get(headers)).await;
        client.shutdown().await.unwrap();
        let mut heard = Vec::new();
        hears(&mut client, &mut heard, "hello").await;
        go_on.notify_one();
        let whole = hears(&mut client, &mut heard, "world").await;
        assert!(whole.starts_with("HTTP/1.1 200 "), "{whole}");
        let read = timeout(SOON, client.read_buf(&mut heard)).await;
        assert_eq!(read.expect("it is closed").ok(), Some(0));
    }
    // Also with all that it sent ahead, and in the old way.
    let web = Upstream::start("A").await;
    let edge = self::edge(web.address, "").await;
    let requests = [get(SHORT), get(LONG), "GET /x HTTP/1.0\r\n\r\n".to_owned()].concat();
    let mut client = says(&edge, &requests).await;
    client.shutdown().await.unwrap();
    let mut answers = Vec::new();
    let read = timeout(SOON, client.read_to_end(&mut answers)).await;
    read.expect("it is closed").unwrap();
    let answers = String::from_utf8_lossy(&answers);
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 3, "{answers}");
}

#[tokio::test]
async fn a_client_that_left_takes_its_request_along() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "").await;
    let inside = |expected| {
        let edge = &edge;
        until("so many are inside", SOON, move || async move {
            let busy = edge
                .metric("tidegate_http_requests_in_flight{service=\"web\"}")
                .await;
            (busy == Some(expected)).then_some(())
        })
    };
    for headers in [SHORT, LONG] {
        let client = says(&edge, &format!("GET /held HTTP/1.1\r\n{headers}\r\n")).await;
        inside(1.0).await;
        drop(client);
        inside(0.0).await;
    }
}
