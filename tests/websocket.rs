//! Tunnels through the real binary, in front of plain addresses.

use crate::support::client::{self, send};
use crate::support::edge::Edge;
use crate::support::until;
use crate::support::websocket::{
    Chat, FLOOD_BYTES, KEY, Socket, connect, open, pattern, question, raw, refused, says_it_back,
};
use futures_util::{SinkExt, StreamExt, stream};
use http::Request;
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

const SOON: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(300);

fn chat(chats: &[&Chat], more: &str) -> String {
    let addresses: Vec<String> = chats
        .iter()
        .map(|chat| format!("\"{}\"", chat.address))
        .collect();
    format!(
        "services:\n  chat:\n    addresses: [{}]\n    healthcheck: {{ type: tcp, interval: 100ms }}\n{more}",
        addresses.join(", ")
    )
}

async fn edge_before(chat_of: &Chat, more: &str) -> Edge {
    let edge = Edge::start(&chat(&[chat_of], more)).await;
    edge.ready().await;
    edge
}

async fn in_flight(edge: &Edge) -> f64 {
    let name = "tidegate_http_requests_in_flight{service=\"chat\"}";
    edge.metric(name).await.expect("counted")
}

async fn closed(socket: &mut Socket) {
    let ended = async { while let Some(Ok(_)) = socket.next().await {} };
    tokio::time::timeout(SOON, ended).await.expect("it closes");
}

/// Four hundred, eight at a time: each is granted and says a message back. Returns what failed.
async fn four_hundred(address: SocketAddr) -> Vec<String> {
    let one = |number: usize| async move {
        let said = async {
            let (mut socket, _) = open(address, "/echo").await.map_err(|e| e.to_string())?;
            says_it_back(&mut socket, format!("number {number}")).await?;
            socket.close(None).await.map_err(|e| e.to_string())
        };
        let said = tokio::time::timeout(SOON, said).await;
        said.unwrap_or_else(|_| Err("hangs".to_owned())).err()
    };
    let all = stream::iter(0..400).map(one).buffer_unordered(8);
    let all: Vec<Option<String>> = all.collect().await;
    all.into_iter().flatten().collect()
}

#[tokio::test]
async fn four_hundred_of_four_hundred_upgrades_succeed() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let failed = four_hundred(edge.address).await;
    assert!(failed.is_empty(), "{} failed: {failed:?}", failed.len());
}

#[tokio::test]
async fn four_hundred_of_four_hundred_succeed_when_the_101_is_there_before_the_request() {
    let chat = Chat::start_hasty().await;
    let edge = edge_before(&chat, "").await;
    let failed = four_hundred(edge.address).await;
    assert!(failed.is_empty(), "{} failed: {failed:?}", failed.len());
}

#[tokio::test]
async fn both_sides_are_told_what_they_may_know() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let mut request = question("/echo");
    request.truncate(request.len() - 2);
    request.extend(b"x-forwarded-for: 6.6.6.6\r\nkeep-alive: 5\r\nx-request-id: forged\r\n\r\n");
    let (_stream, answer, _) = raw(edge.address, &request).await;
    let answer = answer.to_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    for line in ["upgrade: websocket", "connection: upgrade", "x-request-id:"] {
        assert_eq!(answer.matches(line).count(), 1, "{line} in {answer}");
    }
    let asked = chat.seen()[0].to_lowercase();
    for line in [
        "get /echo http/1.1",
        "\nhost: a\r\n",
        "upgrade: websocket\r\n",
        "connection: upgrade\r\n",
        "x-forwarded-for: 127.0.0.1\r\n",
        "x-forwarded-proto: http\r\n",
        "x-forwarded-host: a\r\n",
        &format!("sec-websocket-key: {}\r\n", KEY.to_lowercase()),
    ] {
        assert_eq!(asked.matches(line).count(), 1, "{line} in {asked}");
    }
    assert!(
        !asked.contains("forged") && !asked.contains("keep-alive"),
        "{asked}"
    );
}

#[tokio::test]
async fn large_messages_pass_both_ways() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let mut socket = connect(edge.address, "/echo").await;
    for size in [0, 1, 65_535, 65_536, 5 << 20] {
        says_it_back(&mut socket, pattern(size)).await.unwrap();
    }
}

/// Either side sends all before it reads anything: each way must have its own pace.
#[tokio::test]
async fn both_ways_at_once_do_not_wait_for_each_other() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let (mut stream, _, early) = raw(edge.address, &question("/flood")).await;
    let sent = pattern(FLOOD_BYTES);
    let got = tokio::time::timeout(SOON, async {
        stream.write_all(&sent).await.unwrap();
        let mut got = early;
        stream.read_to_end(&mut got).await.unwrap();
        got
    });
    let got = got.await.expect("it hangs");
    assert!(got[..FLOOD_BYTES] == sent, "the way down is not intact");
    assert_eq!(String::from_utf8_lossy(&got[FLOOD_BYTES..]), "intact");
}

#[tokio::test]
async fn silence_longer_than_any_timeout_of_a_request_is_survived() {
    let chat = Chat::start().await;
    let edge = edge_before(
        &chat,
        "    read_timeout: 300ms\n    write_timeout: 300ms\n\
         timeouts: { client_read: 300ms, client_write: 300ms, keepalive: 1s }\n",
    )
    .await;
    let mut socket = connect(edge.address, "/echo").await;
    for _ in 0..2 {
        says_it_back(&mut socket, "still there?").await.unwrap();
        tokio::time::sleep(5 * SHORT).await;
    }
    says_it_back(&mut socket, "still there?").await.unwrap();
}

#[tokio::test]
async fn a_silent_tunnel_is_closed_when_its_own_time_is_over_and_not_before() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "    tunnel_idle_timeout: 600ms\n").await;
    let mut socket = connect(edge.address, "/echo").await;
    for _ in 0..4 {
        tokio::time::sleep(SHORT).await;
        says_it_back(&mut socket, "on").await.unwrap();
    }
    let began = Instant::now();
    closed(&mut socket).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    until("it is counted out", SOON, || async {
        (in_flight(&edge).await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn tunnels_survive_twenty_reloads() {
    let chat_of = Chat::start().await;
    let edge = edge_before(&chat_of, "").await;
    let address = edge.address;
    let mut sockets: Vec<Socket> = stream::iter(0..20)
        .then(|_| connect(address, "/echo"))
        .collect()
        .await;
    for reload in 1..=20 {
        let more = format!("    read_timeout: {reload}s\n    stop_grace_period: 0s\n");
        edge.write(&chat(&[&chat_of], &more));
        edge.signal(Signal::SIGHUP);
        until("it has reloaded", SOON, || async {
            let name = "tidegate_config_reloads_total{result=\"success\"}";
            (edge.metric(name).await >= Some(reload.into())).then_some(())
        })
        .await;
        for socket in &mut sockets {
            let said = says_it_back(socket, format!("after {reload}")).await;
            said.unwrap();
        }
    }
}

#[tokio::test]
async fn a_replica_that_leaves_keeps_its_tunnels_for_the_grace_period() {
    let (old, new) = (Chat::start().await, Chat::start().await);
    let edge = edge_before(&old, "    stop_grace_period: 1s\n").await;
    let mut socket = connect(edge.address, "/echo").await;
    let mut told = connect(edge.address, "/tell").await;
    edge.write(&chat(&[&new], "").replace("chat:", "other:"));
    edge.signal(Signal::SIGHUP);
    let began = Instant::now();
    until("the other service answers", SOON, || async {
        let opened = open(edge.address, "/echo").await;
        (opened.is_ok() && !new.seen().is_empty()).then_some(())
    })
    .await;
    says_it_back(&mut socket, "a last one").await.unwrap();
    closed(&mut socket).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    closed(&mut told).await;
    until("the replica is told, too", SOON, || async {
        old.seen()
            .iter()
            .any(|seen| seen == "ended true")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_replica_that_declines_is_heard() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let answer = refused(edge.address, "/refused").await;
    assert_eq!(answer.status(), 403);
    assert!(answer.headers().contains_key("x-request-id"));

    let whole = client::raw(edge.address, &question("/refused")).await;
    assert!(
        whole.to_lowercase().contains("connection: close"),
        "{whole}"
    );
    assert!(whole.ends_with("\r\n\r\nnot today\n"), "{whole}");

    let whole = client::raw(edge.address, &question("/refused-until-close")).await;
    assert!(whole.starts_with("HTTP/1.1 401"), "{whole}");
    assert!(
        whole.ends_with("\r\n\r\nB\r\nwho are you\r\n0\r\n\r\n"),
        "{whole}"
    );
}

#[tokio::test]
async fn a_refused_connection_is_tried_on_another_replica() {
    let (a, b) = (Chat::start().await, Chat::start().await);
    // By its own clock no health check comes in between: a retry saves the first tunnel that meets
    // the dead replica, and has everybody know.
    let services = chat(&[&a, &b], "").replace("interval: 100ms", "interval: 60s");
    let edge = Edge::start(&services).await;
    edge.shows("chat", "0=ready 1=ready", SOON).await;
    b.stop().await;
    for _ in 0..6 {
        let mut socket = connect(edge.address, "/echo").await;
        says_it_back(&mut socket, "hello").await.unwrap();
    }
    let retries = "tidegate_retries_total{service=\"chat\"}";
    let retries = edge.metric(retries).await;
    assert_eq!(retries, Some(1.0));
    a.stop().await;
    assert_eq!(refused(edge.address, "/echo").await.status(), 502);
}

#[tokio::test]
async fn who_waits_for_the_101_of_a_replica_that_gets_sick_gets_it_from_another() {
    let (hasty, silent) = (Chat::start_hasty().await, Chat::start().await);
    let edge = Edge::start(&chat(&[&hasty, &silent], "")).await;
    edge.shows("chat", "0=ready 1=ready", SOON).await;
    let address = edge.address;
    let asked = [(); 2].map(|()| tokio::spawn(async move { open(address, "/silent").await }));
    until("one is with the silent one", SOON, || async {
        (silent.seen().len() == 1).then_some(())
    })
    .await;
    // The replica keeps its tunnels, and answers no health check any more.
    silent.stop().await;
    for asked in asked {
        let granted = tokio::time::timeout(SOON, asked).await.expect("it waits");
        let (mut socket, _) = granted.unwrap().expect("a tunnel");
        says_it_back(&mut socket, "hello").await.unwrap();
    }
}

#[tokio::test]
async fn broken_answers_are_502_and_missing_ones_504() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "    read_timeout: 300ms\n").await;
    for path in ["/broken", "/wrong", "/gone"] {
        let answer = refused(edge.address, path).await;
        assert_eq!(answer.status(), 502, "{path}");
        assert!(answer.headers().contains_key("x-request-id"));
    }
    assert_eq!(refused(edge.address, "/silent").await.status(), 504);
    assert_eq!(in_flight(&edge).await, 0.0);
}

#[tokio::test]
async fn a_101_that_nobody_asked_for_is_502() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let asked = b"GET /echo HTTP/1.1\r\nhost: a\r\n";
    for more in [
        &b"\r\n"[..],
        b"upgrade: websocket\r\n\r\n",
        b"connection: upgrade\r\nupgrade: h2c\r\n\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 1\r\n\r\nx",
    ] {
        let answer = client::raw(edge.address, &[asked, more].concat()).await;
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    }
    for seen in chat.seen() {
        assert!(!seen.to_lowercase().contains("upgrade"), "{seen}");
    }
}

#[tokio::test]
async fn what_a_client_sends_early_is_neither_lost_nor_a_request() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let smuggled = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    for path in ["/raw", "/slow"] {
        let early = [&question(path)[..], smuggled].concat();
        let (mut stream, head, mut back) = raw(edge.address, &early).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        stream.write_all(b" and more").await.unwrap();
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut back).await.unwrap();
        let expected = [smuggled, &b" and morebye"[..]].concat();
        assert_eq!(
            back.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
    }

    // While the replica thinks: the byte that tells a client that left from one that waits.
    let mut stream = tokio::net::TcpStream::connect(edge.address).await.unwrap();
    stream.write_all(&question("/slow")).await.unwrap();
    for piece in ["a", "b", "cde"] {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream.write_all(piece.as_bytes()).await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    assert!(all.ends_with("\r\n\r\nabcdebye"), "{all}");

    let early = [&question("/refused")[..], smuggled].concat();
    let answer = client::raw(edge.address, &early).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    until("the replica has got nothing more", SOON, || async {
        chat.seen().contains(&"then ".to_owned()).then_some(())
    })
    .await;
    assert!(chat.seen().iter().all(|seen| !seen.contains("smuggled")));
}

#[tokio::test]
async fn what_a_replica_sends_with_its_101_arrives() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    for _ in 0..50 {
        let (mut stream, _, mut rest) = raw(edge.address, &question("/eager")).await;
        stream.shutdown().await.unwrap();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "hellobye");
    }
}

#[tokio::test]
async fn control_frames_and_the_reasons_of_a_close_pass() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let mut socket = connect(edge.address, "/echo").await;
    let ping = Message::Ping("are you there".into());
    socket.send(ping).await.unwrap();
    let pong = socket.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong("are you there".into()));
    let close = CloseFrame {
        code: CloseCode::Library(4001),
        reason: "enough".into(),
    };
    socket.close(Some(close.clone())).await.unwrap();
    let answered = socket.next().await.unwrap().unwrap();
    assert_eq!(answered, Message::Close(Some(close)));
    closed(&mut socket).await;

    let mut left = connect(edge.address, "/leave").await;
    let away = left.next().await.unwrap().unwrap();
    let expected = CloseFrame {
        code: CloseCode::Away,
        reason: "moving on".into(),
    };
    assert_eq!(away, Message::Close(Some(expected)));
    closed(&mut left).await;
    drop((socket, left));
    until("both are counted out", SOON, || async {
        (in_flight(&edge).await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_side_may_close_its_half_and_the_other_ones_last_words_arrive() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let (mut stream, _, mut rest) = raw(edge.address, &question("/raw")).await;
    stream.write_all(b"one").await.unwrap();
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "onebye");

    // The replica closes while the client is still sending.
    let (mut stream, _, mut rest) = raw(edge.address, &question("/last-words")).await;
    let _ = stream.write_all(&pattern(1 << 16)).await;
    tokio::time::sleep(SHORT).await;
    let _ = stream.write_all(&pattern(1 << 16)).await;
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest == pattern(1 << 16), "{} bytes came", rest.len());
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_before_and_after_the_101() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "").await;
    let mut waiting = tokio::net::TcpStream::connect(edge.address).await.unwrap();
    waiting.write_all(&question("/silent")).await.unwrap();
    let told = connect(edge.address, "/tell").await;
    until("both are inside", SOON, || async {
        (in_flight(&edge).await == 2.0).then_some(())
    })
    .await;
    drop((waiting, told));
    until("the replica sees both leave", SOON, || async {
        let seen = chat.seen();
        let ends = ["then ".to_owned(), "ended true".to_owned()];
        ends.iter().all(|end| seen.contains(end)).then_some(())
    })
    .await;
    until("both are counted out", SOON, || async {
        (in_flight(&edge).await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_tunnel_is_in_flight_and_leaves_one_record_behind() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "plugins: [{ access-log: { path: access.log } }]\n").await;
    let (mut stream, _, mut rest) = raw(edge.address, &question("/raw?room=1")).await;
    stream.write_all(b"12345").await.unwrap();
    until("it is counted", SOON, || async {
        (in_flight(&edge).await == 1.0).then_some(())
    })
    .await;
    stream.shutdown().await.unwrap();
    stream.read_to_end(&mut rest).await.unwrap();
    let log = edge.folder.path().join("access.log");
    let line = until("it is logged", SOON, || async {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        text.ends_with('\n').then_some(text)
    })
    .await;
    assert_eq!(line.lines().count(), 1, "{line}");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["status"], 101);
    assert_eq!(line["target"], "/raw?room=1");
    assert_eq!(line["request_bytes"], 5);
    assert_eq!(line["response_bytes"], "12345bye".len());
    assert!(line["error"].is_null(), "{line}");
    let counted = "tidegate_http_requests_total{code=\"1xx\",method=\"GET\",service=\"chat\"}";
    edge.counts(counted, 1.0).await;
}

#[tokio::test]
async fn term_lets_a_tunnel_go_on_until_it_ends_or_the_drain_is_over() {
    let chat = Chat::start().await;
    let mut edge = edge_before(&chat, "timeouts: { drain: 2s }\n").await;
    let mut socket = connect(edge.address, "/echo").await;
    edge.signal(Signal::SIGTERM);
    let began = Instant::now();
    until("new connections are refused", SOON, || async {
        open(edge.address, "/echo").await.is_err().then_some(())
    })
    .await;
    says_it_back(&mut socket, "still here").await.unwrap();
    closed(&mut socket).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1500), "{took:?}");
    edge.ended(SOON).await;

    let mut edge = edge_before(&chat, "timeouts: { drain: 60s }\n").await;
    let mut socket = connect(edge.address, "/echo").await;
    edge.signal(Signal::SIGTERM);
    tokio::time::sleep(SHORT).await;
    says_it_back(&mut socket, "still here").await.unwrap();
    socket.close(None).await.unwrap();
    closed(&mut socket).await;
    drop(socket);
    assert_eq!(edge.ended(SOON).await, Some(0));
}

#[tokio::test]
async fn the_guards_of_other_requests_hold_for_a_tunnel() {
    let chat = Chat::start().await;
    let edge = edge_before(&chat, "    routes: [{ path: /chat }]\n").await;
    assert_eq!(refused(edge.address, "/other").await.status(), 404);
    assert_eq!(refused(edge.address, "/chat/%2e%2e/x").await.status(), 400);
    let request = Request::get("/chat")
        .header("connection", "upgrade, x-forwarded-for")
        .header("upgrade", "websocket");
    assert_eq!(send(edge.address, request, "").await.status, 400);
    assert!(chat.seen().is_empty());
    let mut socket = connect(edge.address, "/chat").await;
    says_it_back(&mut socket, "hello").await.unwrap();
}
