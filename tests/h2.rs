//! HTTP/2 of clients, by prior knowledge, in front of plain replicas.

use crate::support::edge::Edge;
use crate::support::h2::{Client, data};
use crate::support::scripted::{hears, listen, request};
use crate::support::until;
use crate::support::upstream::Upstream;
use bytes::Bytes;
use futures_util::future::join_all;
use h2::Reason;
use h2::client::Builder;
use http::{HeaderMap, Request};
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

async fn edge(address: SocketAddr, top: &str) -> Edge {
    let edge = Edge::start(&format!(
        "{top}services:\n  web:\n    addresses: [\"{address}\"]\n    \
         healthcheck: {{ type: tcp, interval: 60s }}\n"
    ))
    .await;
    edge.ready().await;
    edge
}

/// Waits until a client is told that its requests are served no more.
async fn is_told_to_leave(client: &Client) {
    let told = until("a goodbye", SOON, || async {
        client.sender.clone().ready().await.err()
    });
    assert_eq!(told.await.reason(), Some(Reason::NO_ERROR));
}

fn post(path: &str) -> http::request::Builder {
    Request::post(format!("http://web.example{path}"))
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "").await;
    let client = Client::connect(edge.address).await;
    // At once as many as there may be.
    for turn in 0..2 {
        let asked = (turn * 100..(turn + 1) * 100).map(|number| {
            let client = &client;
            async move {
                let body = number.to_string();
                let answer = client.send(post(&format!("/{number}")), body.clone()).await;
                let told = answer.unwrap().json();
                assert_eq!(told["target"], format!("/{number}"));
                assert_eq!(told["body"], body);
            }
        });
        join_all(asked).await;
    }
    assert_eq!(web.requests(), 200);
    let requests = "tidegate_http_requests_total{code=\"2xx\",method=\"POST\",service=\"web\"}";
    until("all are counted", SOON, || async {
        (edge.metric(requests).await == Some(200.0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_gets_what_a_client_of_http1_would_have_sent() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "").await;
    let client = Client::connect(edge.address).await;
    let request = Request::get("http://web.example/x//y?z")
        .header("host", "other.example")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .header("x-forwarded-for", "6.6.6.6");
    let told = client.send(request, "").await.unwrap().json();
    assert_eq!(told["target"], "/x/y?z");
    let headers: Vec<(String, String)> =
        serde_json::from_value(told["headers"].clone()).expect("pairs");
    let of = |name: &str| {
        let found = headers.iter().filter(|(header, _)| header == name);
        found.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(of("host"), ["web.example"]);
    assert_eq!(of("cookie"), ["a=1; b=2"]);
    assert_eq!(of("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(of("x-forwarded-proto"), ["http"]);
    assert!(of("te").is_empty() && of("transfer-encoding").is_empty());
}

#[tokio::test]
async fn a_head_that_is_not_as_it_should_be_costs_its_stream_alone() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "limits: { headers: 20 }\n").await;
    let client = Client::connect(edge.address).await;
    let uri = |path: &str| format!("http://web.example{path}");
    let many = (0..40).fold(Request::get(uri("/x")), |request, number| {
        request.header(format!("x-{number}"), "y")
    });
    for (request, expected) in [
        (Request::get(uri("/a/../b")), 400),
        (Request::get("http://a_b!c/x"), 400),
        (Request::builder().method("TRACE").uri(uri("/x")), 405),
        (Request::connect("web.example:443"), 405),
        (many, 431),
        (
            Request::get(uri("/x")).header("x-big", "y".repeat(100_000)),
            431,
        ),
        (Request::get(uri(&format!("/{}", "x".repeat(20_000)))), 414),
        (Request::get(uri("/x")), 200),
    ] {
        let answer = client.send(request, "").await.unwrap();
        assert_eq!(answer.status, expected);
    }
}

#[tokio::test]
async fn bodies_interim_answers_and_trailers_pass_both_ways_as_they_come() {
    let (listener, address) = listen().await;
    let edge = edge(address, "").await;
    let client = Client::connect(edge.address).await;
    let mut begun = client.begin(post("/x"), false).await;
    begun
        .body
        .send_data(Bytes::from_static(b"hello"), false)
        .unwrap();
    let (mut replica, head) = request(&listener, "5\r\nhello\r\n").await;
    assert!(
        head.to_lowercase().contains("transfer-encoding: chunked"),
        "{head}"
    );
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
        HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\n";
    replica.write_all(early.as_bytes()).await.unwrap();
    let hint = std::future::poll_fn(|cx| begun.answer.poll_informational(cx));
    let hint = timeout(SOON, hint).await.unwrap().unwrap().unwrap();
    assert_eq!(
        (hint.status().as_u16(), &hint.headers()["link"]),
        (103, &"</a>".parse().unwrap())
    );
    let mut answer = begun.head().await.unwrap();
    assert!(!answer.headers().contains_key("transfer-encoding"));
    let body = answer.body_mut();
    assert_eq!(data(body).await.unwrap().unwrap(), "yes");
    // The answer has begun, and the request goes on.
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "5".parse().unwrap());
    trailers.insert("x-forwarded-for", "6.6.6.6".parse().unwrap());
    begun
        .body
        .send_data(Bytes::from_static(b"you"), false)
        .unwrap();
    begun.body.send_trailers(trailers).unwrap();
    let rest = hears(&mut replica, "0\r\nx-sum: 5\r\n\r\n").await;
    assert!(rest.contains("3\r\nyou\r\n"), "{rest}");
    let end = "0\r\nx-sum: 3\r\ncontent-length: 9\r\n\r\n";
    replica.write_all(end.as_bytes()).await.unwrap();
    assert!(data(body).await.is_none());
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(
        (trailers.len(), &trailers["x-sum"]),
        (1, &"3".parse().unwrap())
    );
}

#[tokio::test]
async fn a_stream_that_is_not_read_holds_no_other_up() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "").await;
    let mut builder = Builder::new();
    builder
        .initial_window_size(16 << 10)
        .initial_connection_window_size(1 << 20);
    let client = Client::connect_with(&builder, edge.address).await;
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let mut begun = client
            .begin(Request::get("http://web.example/big"), true)
            .await;
        let answer = begun.head().await.unwrap();
        stalled.push((begun, answer));
    }
    assert_eq!(client.get("/x").await.unwrap().status, 200);
    // And each goes on as soon as it is read.
    for (_, answer) in &mut stalled {
        let mut length = 0;
        while let Some(piece) = data(answer.body_mut()).await {
            length += piece.unwrap().len();
        }
        assert_eq!(length, 1 << 20);
    }
}

#[tokio::test]
async fn an_upload_that_a_replica_does_not_take_holds_no_other_up() {
    let (listener, address) = listen().await;
    let edge = edge(address, "").await;
    let client = Client::connect(edge.address).await;
    let mut begun = client.begin(post("/x"), false).await;
    begun.body.reserve_capacity(90 << 20);
    let (_replica, _) = request(&listener, "\r\n\r\n").await;
    let mut sent = 0;
    loop {
        let room = std::future::poll_fn(|cx| begun.body.poll_capacity(cx));
        let Ok(room) = timeout(Duration::from_millis(500), room).await else {
            break;
        };
        let room = room.unwrap().unwrap();
        begun
            .body
            .send_data(vec![b'x'; room].into(), false)
            .unwrap();
        sent += room;
        assert!(sent < 50 << 20, "all is taken, and kept somewhere");
    }
    let asked = client.begin(post("/y"), true).await;
    let (mut replica, _) = request(&listener, "POST /y ").await;
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    replica.write_all(answer).await.unwrap();
    assert_eq!(asked.whole().await.unwrap().0.body, "ok");
}

#[tokio::test]
async fn a_request_that_its_client_takes_back_leaves_its_replica() {
    let (listener, address) = listen().await;
    let edge = edge(address, "").await;
    let client = Client::connect(edge.address).await;
    for has_begun in [false, true] {
        let mut begun = client
            .begin(Request::get("http://web.example/x"), true)
            .await;
        let (mut replica, _) = request(&listener, "\r\n\r\n").await;
        if has_begun {
            let begins = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegun";
            replica.write_all(begins).await.unwrap();
            let mut answer = begun.head().await.unwrap();
            data(answer.body_mut()).await.unwrap().unwrap();
        }
        begun.body.send_reset(Reason::CANCEL);
        let read = timeout(SOON, replica.read(&mut [0; 9])).await;
        assert_eq!(read.expect("the edge closes it").unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    let (listener, address) = listen().await;
    let edge = edge(address, "").await;
    let client = Client::connect(edge.address).await;
    for head in ["content-length: 9", "transfer-encoding: chunked"] {
        let begun = client
            .begin(Request::get("http://web.example/x"), true)
            .await;
        let (mut replica, _) = request(&listener, "\r\n\r\n").await;
        let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n1\r\nx\r\n");
        replica.write_all(text.as_bytes()).await.unwrap();
        drop(replica);
        let error = begun.whole().await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
    }
}

#[tokio::test]
async fn slow_clients_have_the_same_time_as_on_http1() {
    let web = Upstream::start("A").await;
    let edge = edge(
        web.address,
        "timeouts: { client_read: 1s, client_write: 1s, keepalive: 1s }\n",
    )
    .await;
    let mut builder = Builder::new();
    builder.initial_window_size(0);
    let client = Client::connect_with(&builder, edge.address).await;
    // A body that does not come, and an answer that is not read.
    let begun = client
        .begin(post("/x").header("content-length", "5"), false)
        .await;
    let silent = client
        .begin(Request::get("http://web.example/big"), true)
        .await;
    let mut begun = begun;
    assert_eq!(begun.head().await.unwrap().status(), 408);
    assert!(silent.whole().await.is_err());
    // And then nothing more comes.
    drop(begun);
    is_told_to_leave(&client).await;
    assert_eq!(client.ended().await, None);
}

#[tokio::test]
async fn a_process_that_leaves_says_goodbye_and_finishes_what_is_under_way() {
    let web = Upstream::start("A").await;
    let mut edge = edge(web.address, "").await;
    let idle = Client::connect(edge.address).await;
    idle.get("/x").await.unwrap();
    let busy = Client::connect(edge.address).await;
    let mut begun = busy
        .begin(Request::get("http://web.example/begun"), true)
        .await;
    begun.head().await.unwrap();
    let mut begun = busy
        .begin(Request::get("http://web.example/begun"), true)
        .await;
    let mut answer = begun.head().await.unwrap();
    edge.signal(Signal::SIGTERM);
    is_told_to_leave(&idle).await;
    is_told_to_leave(&busy).await;
    web.release();
    web.release();
    let mut body = Vec::new();
    while let Some(piece) = data(answer.body_mut()).await {
        body.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(body, b"begun done");
    drop(begun);
    drop(answer);
    busy.ended().await;
    assert_eq!(edge.ended(SOON).await, Some(0));
}

#[tokio::test]
async fn a_client_that_begins_while_the_process_leaves_is_told_to_go() {
    let web = Upstream::start("A").await;
    let mut edge = edge(web.address, "").await;
    let late = TcpStream::connect(edge.address).await.unwrap();
    let busy = Client::connect(edge.address).await;
    let mut begun = busy
        .begin(Request::get("http://web.example/begun"), true)
        .await;
    let mut answer = begun.head().await.unwrap();
    edge.signal(Signal::SIGTERM);
    is_told_to_leave(&busy).await;
    let late = Client::over(&Builder::new(), late).await;
    is_told_to_leave(&late).await;
    drop(late);
    web.release();
    while let Some(piece) = data(answer.body_mut()).await {
        piece.unwrap();
    }
    drop(begun);
    drop(answer);
    busy.ended().await;
    assert_eq!(edge.ended(SOON).await, Some(0));
    assert!(!edge.log().contains("panicked"), "{}", edge.log());
}

#[tokio::test]
async fn http1_is_served_as_ever_beside_it() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "").await;
    for text in [
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ] {
        let answer = crate::support::client::raw(edge.address, text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    }
    // The preface comes first or not at all.
    let text = "GET /x HTTP/1.1\r\nhost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let answer = crate::support::client::raw(edge.address, text.as_bytes()).await;
    assert!(answer.contains("HTTP/1.1 400 "), "{answer}");
}

/// A WebSocket's CONNECT on `path`.
async fn connect(client: &Client, path: &str) -> crate::support::h2::Begun {
    connect_for(client, path, "websocket").await
}

async fn connect_for(
    client: &Client,
    path: &str,
    protocol: &'static str,
) -> crate::support::h2::Begun {
    // The server must have said that it knows such requests.
    until("the server's settings", SOON, || async {
        client
            .sender
            .is_extended_connect_protocol_enabled()
            .then_some(())
    })
    .await;
    let request = Request::connect(format!("http://web.example{path}"))
        .extension(h2::ext::Protocol::from_static(protocol))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat");
    client.begin(request, false).await
}

#[tokio::test]
async fn a_websocket_on_a_stream_is_a_tunnel_to_a_replica() {
    let (listener, address) = listen().await;
    let edge = edge(address, "").await;
    let client = Client::connect(edge.address).await;
    let mut begun = connect(&client, "/chat").await;
    begun
        .body
        .send_data(Bytes::from_static(b"early"), false)
        .unwrap();
    let (mut replica, head) = request(&listener, "\r\n\r\n").await;
    let key = key_of(&head);
    let head = head.to_lowercase();
    assert!(head.starts_with("get /chat http/1.1\r\n"), "{head}");
    for line in [
        "host: web.example",
        "upgrade: websocket",
        "connection: upgrade",
    ] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert!(
        head.contains("\r\nsec-websocket-protocol: chat\r\n"),
        "{head}"
    );
    assert!(!head.contains("early"), "{head}");
    let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
    let agreed = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
         sec-websocket-accept: {accept}\r\nsec-websocket-protocol: chat\r\n\r\nhello"
    );
    replica.write_all(agreed.as_bytes()).await.unwrap();
    let mut answer = begun.head().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    for name in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    assert_eq!(data(answer.body_mut()).await.unwrap().unwrap(), "hello");
    hears(&mut replica, "early").await;
    begun
        .body
        .send_data(Bytes::from_static(b"more"), true)
        .unwrap();
    hears(&mut replica, "more").await;
    assert_eq!(replica.read(&mut [0; 9]).await.unwrap(), 0);
    replica.write_all(b"bye").await.unwrap();
    drop(replica);
    assert_eq!(data(answer.body_mut()).await.unwrap().unwrap(), "bye");
    assert!(data(answer.body_mut()).await.is_none());
}

/// The key of a handshake.
fn key_of(head: &str) -> String {
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
    let key = lines.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
    key.expect("a key").1.to_owned()
}

#[tokio::test]
async fn a_replica_may_decline_a_websocket_and_must_prove_that_it_does_not() {
    let (listener, address) = listen().await;
    let edge = edge(address, "").await;
    let client = Client::connect(edge.address).await;
    for (answer, status) in [
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", 403),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
             sec-websocket-accept: x\r\n\r\n",
            502,
        ),
    ] {
        let mut begun = connect(&client, "/chat").await;
        let (mut replica, _) = request(&listener, "\r\n\r\n").await;
        replica.write_all(answer.as_bytes()).await.unwrap();
        assert_eq!(begun.head().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn another_protocol_than_websocket_is_not_carried() {
    let web = Upstream::start("A").await;
    let edge = edge(web.address, "").await;
    let client = Client::connect(edge.address).await;
    let mut begun = connect_for(&client, "/x", "connect-udp").await;
    assert_eq!(begun.head().await.unwrap().status(), 501);
    assert_eq!(web.requests(), 0);
}

#[tokio::test]
async fn a_reload_holds_for_the_next_stream_and_an_upgrade_has_clients_move_on() {
    let (old, new) = (Upstream::start("old").await, Upstream::start("new").await);
    let edge = edge(old.address, "").await;
    let client = Client::connect(edge.address).await;
    let mut begun = client
        .begin(Request::get("http://web.example/begun"), true)
        .await;
    let mut answer = begun.head().await.unwrap();
    edge.write(&format!(
        "services:\n  web:\n    addresses: [\"{}\"]\n    \
         healthcheck: {{ type: tcp, interval: 60s }}\n",
        new.address
    ));
    let ran = edge.tidegate(&["reload"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    until("the new replica answers", SOON, || async {
        let answer = client.get("/x").await.unwrap();
        (answer.header("x-upstream") == "new").then_some(())
    })
    .await;
    let next = edge.upgraded().await;
    is_told_to_leave(&client).await;
    let moved = Client::connect(next.address).await;
    assert_eq!(moved.get("/x").await.unwrap().status, 200);
    old.release();
    let mut body = Vec::new();
    while let Some(piece) = data(answer.body_mut()).await {
        body.extend_from_slice(&piece.unwrap());
    }
    assert_eq!(body, b"begun done");
}
