//! Requests that take the plain way, and their neighbours on the same connection, which
//! do not.

use crate::support::edge::Edge;
use crate::support::recorder::Recorder;
use crate::support::until;
use crate::support::upstream::Upstream;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

async fn edge(address: std::net::SocketAddr) -> Edge {
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [\"{address}\"]\n    healthcheck: {{ interval: 60s }}\n"
    ))
    .await;
    edge.ready().await;
    edge
}

/// One connection of a client, read answer by answer.
struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Client {
    async fn of(edge: &Edge) -> Client {
        Client {
            stream: TcpStream::connect(edge.address).await.expect("connected"),
            heard: Vec::new(),
        }
    }

    async fn says(&mut self, text: impl AsRef<[u8]>) {
        self.stream
            .write_all(text.as_ref())
            .await
            .expect("it is open");
    }

    async fn hears(&mut self, done: impl Fn(&[u8]) -> Option<usize>) -> String {
        let answer = timeout(SOON, async {
            loop {
                if let Some(end) = done(&self.heard) {
                    let rest = self.heard.split_off(end);
                    let answer = std::mem::replace(&mut self.heard, rest);
                    return String::from_utf8(answer).expect("text");
                }
                let read = self
                    .stream
                    .read_buf(&mut self.heard)
                    .await
                    .expect("it is open");
                assert!(
                    read > 0,
                    "closed after {:?}",
                    String::from_utf8_lossy(&self.heard)
                );
            }
        });
        answer.await.expect("there is an answer")
    }

    /// The next answer, framed by its length.
    async fn answer(&mut self) -> String {
        self.hears(|heard| {
            let text = String::from_utf8_lossy(heard);
            let (head, _) = text.split_once("\r\n\r\n")?;
            let length = head.to_ascii_lowercase();
            let (_, length) = length.split_once("content-length: ")?;
            let length: usize = length.lines().next()?.parse().ok()?;
            let end = head.len() + 4 + length;
            (heard.len() >= end).then_some(end)
        })
        .await
    }
}

#[tokio::test]
async fn requests_of_all_kinds_take_turns_on_one_connection() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address).await;
    let mut client = Client::of(&edge).await;
    let chunked =
        "POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let long = "x".repeat(100 << 10);
    let long = format!(
        "POST /l HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{long}",
        long.len()
    );
    let turns = [
        ("GET /a HTTP/1.1\r\nhost: a\r\n\r\n", "\"target\":\"/a\"", 0),
        (chunked, "\"target\":\"/c\"", 3),
        (
            "POST /b HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello",
            "\"body\":\"hello\"",
            5,
        ),
        (&long, "\"target\":\"/l\"", 100 << 10),
        (
            "DELETE /d HTTP/1.1\r\nhost: a\r\nexpect: nothing\r\n\r\n",
            "\"method\":\"DELETE\"",
            0,
        ),
        (
            "GET /e HTTP/1.1\r\nhost: a\r\nte: trailers\r\n\r\n",
            "\"target\":\"/e\"",
            0,
        ),
    ];
    for (request, part, length) in turns.iter().chain(&turns) {
        client.says(request).await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(
            answer.contains("\r\nConnection: keep-alive\r\n"),
            "{answer}"
        );
        assert!(answer.contains(part), "{answer}");
        assert!(answer.contains(&format!("\"length\":{length}")), "{answer}");
    }
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_their_order() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address).await;
    let mut client = Client::of(&edge).await;
    let mut all = String::new();
    for n in 0..20 {
        let body = "x".repeat(n);
        all += &format!("POST /{n} HTTP/1.1\r\nhost: a\r\ncontent-length: {n}\r\n\r\n{body}");
        all += &format!("GET /get{n} HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    // Cut where it hurts.
    for piece in all.as_bytes().chunks(97) {
        client.says(piece).await;
    }
    for n in 0..20 {
        let answer = client.answer().await;
        assert!(answer.contains(&format!("\"target\":\"/{n}\"")), "{answer}");
        assert!(answer.contains(&format!("\"length\":{n}")), "{answer}");
        let answer = client.answer().await;
        assert!(
            answer.contains(&format!("\"target\":\"/get{n}\"")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn half_a_head_sent_ahead_has_the_same_deadline_as_any() {
    let web = Upstream::start("A").await;
    let services = format!(
        "timeouts: {{ header: 300ms }}\nservices:\n  web:\n    addresses: [\"{}\"]\n",
        web.address
    );
    let edge = Edge::start(&services).await;
    edge.ready().await;
    let mut client = Client::of(&edge).await;
    client
        .says("GET /a HTTP/1.1\r\nhost: a\r\n\r\nGET /b HTTP/1.1\r\nho")
        .await;
    assert!(client.answer().await.contains("\"target\":\"/a\""));
    assert!(client.answer().await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_short_body_keeps_no_replica_busy_until_it_is_there() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address).await;
    let mut slow = Client::of(&edge).await;
    slow.says("POST /slowly HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello")
        .await;
    let mut other = Client::of(&edge).await;
    other.says("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    other.answer().await;
    until("the other one is over", SOON, || async {
        let busy = edge
            .metric("tidegate_http_requests_in_flight{service=\"web\"}")
            .await;
        (busy == Some(0.0)).then_some(())
    })
    .await;
    assert_eq!(web.requests(), 1);
    slow.says("world").await;
    assert!(slow.answer().await.contains("\"body\":\"helloworld\""));
}

#[tokio::test]
async fn names_keep_their_spelling_both_ways() {
    let web = Recorder::start().await;
    web.answers("HTTP/1.1 200 Fine\r\nX-MiXed: b\r\nETag: c\r\ncontent-length: 0\r\n\r\n");
    let edge = edge(web.address).await;
    web.take();
    let mut client = Client::of(&edge).await;
    client
        .says("GET / HTTP/1.1\r\nHost: a\r\nX-SoapAction: a\r\nCookie: b\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 Fine\r\n"), "{answer}");
    assert!(answer.contains("\r\nX-MiXed: b\r\n"), "{answer}");
    assert!(answer.contains("\r\nETag: c\r\n"), "{answer}");
    let asked = web.take_one();
    assert!(asked.contains("\r\nX-SoapAction: a\r\n"), "{asked}");
    assert!(asked.contains("\r\nCookie: b\r\n"), "{asked}");
}

/// Answers in every framing, and whether the connection goes on.
#[tokio::test]
async fn every_framing_of_an_answer_arrives() {
    let web = Recorder::start().await;
    let edge = edge(web.address).await;
    let table = [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "\r\n\r\nok",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\nx: y\r\n\r\n",
            "\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nok",
            "\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.0 200 OK\r\n\r\nok",
            "\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "\r\n\r\n", true),
        (
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
            "\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "ontent-Length: 0\r\n",
            true,
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "", false),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok",
            "",
            false,
        ),
    ];
    for (answer, expected, stays) in table {
        web.answers(answer);
        let mut client = Client::of(&edge).await;
        client.says("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        if stays {
            let end = |heard: &[u8]| {
                let text = String::from_utf8_lossy(heard);
                let is_there = text.contains(expected) && text.contains("\r\nConnection: ");
                is_there.then_some(heard.len())
            };
            let got = client.hears(end).await;
            assert!(got.contains(expected), "{answer:?}: {got:?}");
            web.answers("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nend");
            client.says("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let next = client.hears(|heard| heard.ends_with(b"end").then_some(heard.len()));
            assert!(next.await.ends_with("end"), "{answer:?}");
        } else {
            let mut rest = Vec::new();
            let read = timeout(SOON, client.stream.read_to_end(&mut rest)).await;
            read.expect("it ends").ok();
            assert!(
                !String::from_utf8_lossy(&rest).ends_with("0\r\n\r\n"),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_replica_closed_meanwhile_fails_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let edge = edge(listener.local_addr().unwrap()).await;
    let server = tokio::spawn(async move {
        let mut served = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = [0; 4096];
            // Two requests a connection, and then it is closed without a word.
            for _ in 0..2 {
                match stream.read(&mut heard).await {
                    Ok(count) if count > 0 => served += 1,
                    _ => break,
                }
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{served:04}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    let mut client = Client::of(&edge).await;
    for _ in 0..20 {
        client.says("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let answer = client.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    server.abort();
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_takes_its_request_along() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address).await;
    let mut client = Client::of(&edge).await;
    client.says("GET /held HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let inside = |expected| {
        let edge = &edge;
        until("so many are inside", SOON, move || async move {
            let busy = edge
                .metric("tidegate_http_requests_in_flight{service=\"web\"}")
                .await;
            (busy == Some(expected)).then_some(())
        })
    };
    inside(1.0).await;
    drop(client);
    inside(0.0).await;
}
