//! Bodies that are passed on piece by piece, both ways.

use crate::support::edge::Edge;
use crate::support::scripted::{hears, listen, request};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

async fn edge(addresses: &[SocketAddr]) -> Edge {
    let addresses: Vec<_> = addresses
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [{}]\n    healthcheck: {{ type: tcp, interval: 60s }}\n",
        addresses.join(", ")
    ))
    .await;
    let states: Vec<_> = (0..addresses.len())
        .map(|at| format!("{at}=ready"))
        .collect();
    edge.shows("web", &states.join(" "), SOON).await;
    edge
}

async fn says(edge: &Edge, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(edge.address).await.expect("connected");
    stream
        .write_all(text.as_bytes())
        .await
        .expect("it is taken");
    stream
}

const CHUNKED: &str = "POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
const LONG: &str = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n";

#[tokio::test]
async fn a_body_reaches_its_replica_before_it_ends_and_so_does_the_answer_its_client() {
    let (listener, address) = listen().await;
    let edge = edge(&[address]).await;
    let mut client = says(&edge, &format!("{CHUNKED}5\r\nhello\r\n")).await;
    let (mut replica, _) = request(&listener, "5\r\nhello\r\n").await;
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\n";
    replica.write_all(head.as_bytes()).await.unwrap();
    hears(&mut client, "3\r\nyes\r\n").await;
    client.write_all(b"3\r\nyou\r\n").await.unwrap();
    hears(&mut replica, "3\r\nyou\r\n").await;
    client.write_all(b"0\r\n\r\n").await.unwrap();
    hears(&mut replica, "0\r\n\r\n").await;
    replica.write_all(b"0\r\n\r\n").await.unwrap();
    hears(&mut client, "0\r\n\r\n").await;
}

#[tokio::test]
async fn a_slow_replica_slows_an_upload_down() {
    let (listener, address) = listen().await;
    let edge = edge(&[address]).await;
    let head = LONG.replace("1000000", "100000000");
    let mut client = says(&edge, &head).await;
    let (_replica, _) = request(&listener, "\r\n\r\n").await;
    let piece = vec![b'x'; 1 << 20];
    let mut taken = 0;
    while let Ok(Ok(count)) = timeout(Duration::from_secs(2), client.write(&piece)).await {
        taken += count;
        assert!(taken < 50_000_000, "it is all taken, and kept somewhere");
    }
}

#[tokio::test]
async fn trailers_pass_both_ways_but_those_that_belong_into_a_head() {
    let (listener, address) = listen().await;
    let edge = edge(&[address]).await;
    let body = "5\r\nhello\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nX-Sum: 5\r\n\r\n";
    let mut client = says(&edge, &format!("{CHUNKED}{body}")).await;
    let (mut replica, asked) = request(&listener, "5\r\nhello\r\n0\r\nx-sum: 5\r\n\r\n").await;
    assert!(!asked.contains("6.6.6.6"), "{asked}");
    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\nContent-Length: 9\r\n\r\n";
    replica.write_all(answer.as_bytes()).await.unwrap();
    let got = hears(&mut client, "x-sum: 2\r\n\r\n").await;
    assert!(!got.to_lowercase().contains("content-length"), "{got}");
    // Both connections go on.
    let head = "GET /y HTTP/1.1\r\nhost: a\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let asked = hears(&mut replica, "\r\n\r\n").await;
    assert!(asked.starts_with("GET /y "), "{asked}");
}

#[tokio::test]
async fn a_body_that_breaks_off_at_a_replica_goes_to_the_next_one_while_all_of_it_is_remembered() {
    for (length, again) in [(1_000, true), (200_000, false)] {
        let (listener, address) = listen().await;
        let (other, there) = listen().await;
        let edge = edge(&[address, there]).await;
        let piece = "x".repeat(length);
        let head = CHUNKED.replace("POST", "PUT");
        let mut client = says(&edge, &format!("{head}{length:x}\r\n{piece}\r\n")).await;
        let (mut first, mut heard) = tokio::select! {
            first = request(&listener, "\r\n\r\n") => first,
            first = request(&other, "\r\n\r\n") => first,
        };
        while heard.len() < length.min(100_000) {
            heard += &hears(&mut first, "x").await;
        }
        drop(first);
        if !again {
            assert!(hears(&mut client, "\r\n\r\n").await.contains(" 502 "));
            continue;
        }
        let (mut second, _) = tokio::select! {
            second = request(&listener, &piece) => second,
            second = request(&other, &piece) => second,
        };
        client.write_all(b"1\r\ny\r\n0\r\n\r\n").await.unwrap();
        hears(&mut second, "1\r\ny\r\n0\r\n\r\n").await;
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        second.write_all(answer).await.unwrap();
        assert!(hears(&mut client, "ok").await.contains(" 200 "));
    }
}

#[tokio::test]
async fn a_client_that_waits_for_a_word_gets_its_replicas() {
    let (listener, address) = listen().await;
    let edge = edge(&[address]).await;
    let head = "POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    let mut client = says(&edge, head).await;
    let (mut replica, asked) = request(&listener, "\r\n\r\n").await;
    assert!(
        asked.to_lowercase().contains("expect: 100-continue"),
        "{asked}"
    );
    replica
        .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        .await
        .unwrap();
    hears(&mut client, "100 Continue\r\n\r\n").await;
    client.write_all(b"hi").await.unwrap();
    hears(&mut replica, "hi").await;
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    replica.write_all(answer).await.unwrap();
    let got = hears(&mut client, "ok").await;
    assert!(
        got.to_lowercase().contains("connection: keep-alive"),
        "{got}"
    );
}
