//! The real binary under clients that are slow, silent or too many, and one that is neither.

use crate::support::client::{Connection, get};
use crate::support::edge::Edge;
use crate::support::until;
use crate::support::upstream::Upstream;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

const SOON: Duration = Duration::from_secs(10);
/// Between two bytes of somebody slow; far below every limit that counts silence only.
const DRIP: Duration = Duration::from_millis(50);

async fn edge(upstream: &Upstream, top: &str) -> Edge {
    let services = format!(
        "{top}services: {{ web: {{ addresses: [\"{}\"] }} }}\n",
        upstream.address
    );
    let edge = Edge::start(&services).await;
    edge.ready().await;
    edge
}

/// Connections that were not let in for this reason.
async fn refused(edge: &Edge, reason: &str) -> Option<f64> {
    let name = format!("tidegate_connections_refused_total{{reason=\"{reason}\"}}");
    edge.metric(&name).await
}

/// Everything that comes until the other side closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let read = timeout(SOON, stream.read_to_end(&mut answer)).await;
    read.expect("it was never closed").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends `start`, and then `x` for ever, until the other side has had enough.
async fn drip(edge: &Edge, start: &str) -> (String, Duration) {
    // The time counts from the moment the connection is accepted, which may be before we hear of
    // it.
    let began = Instant::now();
    let stream = TcpStream::connect(edge.address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let sent = start.to_owned();
    let dripping = tokio::spawn(async move {
        let _ = writer.write_all(sent.as_bytes()).await;
        while writer.write_all(b"x").await.is_ok() {
            sleep(DRIP).await;
        }
    });
    let mut answer = Vec::new();
    let read = timeout(SOON, reader.read_to_end(&mut answer)).await;
    read.expect("it was never closed").ok();
    dripping.abort();
    (
        String::from_utf8_lossy(&answer).into_owned(),
        began.elapsed(),
    )
}

#[tokio::test]
async fn a_head_that_drips_in_has_one_deadline_as_a_whole() {
    let web = Upstream::start("A").await;
    let edge = edge(&web, "timeouts: { header: 500ms }\n").await;
    let (answer, took) = drip(&edge, "GET / HTTP/1.1\r\nhost: a\r\nx-slow: ").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
    assert!(took >= Duration::from_millis(500), "{took:?}");

    // On a connection that was used before, it counts from the head's first byte.
    let mut used = TcpStream::connect(edge.address).await.unwrap();
    let whole = b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n";
    used.write_all(whole).await.unwrap();
    let mut first = [0; 15];
    used.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    sleep(Duration::from_millis(700)).await;
    used.write_all(whole).await.unwrap();
    used.write_all(b"GET / HTT").await.unwrap();
    let answers = rest(used).await;
    assert!(
        answers.contains("HTTP/1.1 200 OK"),
        "idle is not slow: {answers}"
    );
    assert_eq!(web.requests(), 2);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let web = Upstream::start("A").await;
    let edge = edge(&web, "timeouts: { header: 300ms, keepalive: 1s }\n").await;
    let silent = TcpStream::connect(edge.address).await.unwrap();
    assert_eq!(rest(silent).await, "");
    let mut idle = TcpStream::connect(edge.address).await.unwrap();
    idle.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let answer = rest(idle).await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[tokio::test]
async fn a_body_that_stalls_or_drips_in_is_408_and_leaves_the_replica() {
    let web = Upstream::start("A").await;
    let edge = edge(&web, "timeouts: { client_read: 500ms }\n").await;
    let start = "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n";
    let mut stalled = TcpStream::connect(edge.address).await.unwrap();
    stalled.write_all(start.as_bytes()).await.unwrap();
    let answer = rest(stalled).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let (answer, took) = drip(&edge, start).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(took >= Duration::from_millis(500), "{took:?}");
    until("no request is left", SOON, || async {
        let busy = edge
            .metric("tidegate_http_requests_in_flight{service=\"web\"}")
            .await;
        (busy.unwrap_or(0.0) == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_long_body_that_keeps_the_pace_arrives_whole() {
    let web = Upstream::start("A").await;
    let edge = edge(
        &web,
        "timeouts: { client_read: 300ms }\nlimits: { min_rate: 500B }\n",
    )
    .await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let head = b"POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 5000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    // Twice as long as all silence that is allowed, with never much of it at once.
    for _ in 0..10 {
        sleep(Duration::from_millis(60)).await;
        stream.write_all(&[b'x'; 500]).await.unwrap();
    }
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\"length\":5000"), "{answer}");
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_given_up() {
    let web = Upstream::start("A").await;
    let edge = edge(&web, "timeouts: { client_write: 500ms }\n").await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut lazy = socket.connect(edge.address).await.unwrap();
    // More than the kernel takes for it.
    let request = b"GET /huge HTTP/1.1\r\nhost: a\r\n\r\n";
    lazy.write_all(request).await.unwrap();
    until("the request is inside", SOON, || async {
        (web.requests() == 1).then_some(())
    })
    .await;
    until("the request is over", SOON, || async {
        let busy = edge
            .metric("tidegate_http_requests_in_flight{service=\"web\"}")
            .await;
        (busy == Some(0.0)).then_some(())
    })
    .await;
    let mut got = Vec::new();
    let read = timeout(SOON, lazy.read_to_end(&mut got)).await;
    read.expect("it was never closed").ok();
    assert!(got.len() < 64 << 20, "the rest never came");
}

/// A server that says without end, and how much of it the kernel has taken off its hands.
async fn endless() -> (SocketAddr, Arc<AtomicU64>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(64 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(64).unwrap();
    let address = listener.local_addr().unwrap();
    let taken: Arc<AtomicU64> = Arc::default();
    let counted = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut asked = [0; 4096];
                if stream.read(&mut asked).await.is_ok_and(|count| count > 0) {
                    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n";
                    stream.write_all(head).await.unwrap();
                    while let Ok(count) = stream.write(&[b'x'; 16 << 10]).await {
                        counted.fetch_add(count as u64, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    (address, taken)
}

#[tokio::test]
async fn what_a_client_does_not_take_is_left_with_the_replica() {
    let (address, taken) = endless().await;
    let edge = Edge::start(&format!(
        "services: {{ web: {{ addresses: [\"{address}\"] }} }}\n"
    ))
    .await;
    edge.ready().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut lazy = socket.connect(edge.address).await.unwrap();
    lazy.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let bytes = until("no more is taken", SOON, || async {
        let before = taken.load(Ordering::Relaxed);
        sleep(Duration::from_millis(300)).await;
        (before > 0 && before == taken.load(Ordering::Relaxed)).then_some(before)
    })
    .await;
    // Without a bound the kernel alone would keep several times as much.
    assert!(bytes < 2 << 20, "{bytes} bytes were taken");
}

#[tokio::test]
async fn who_is_over_the_cap_is_told_so_at_once_and_places_come_back() {
    let web = Upstream::start("A").await;
    let edge = edge(
        &web,
        "limits: { connections: 5, connections_per_address: 3 }\n",
    )
    .await;
    let from = |address: &'static str| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address.parse().unwrap()).unwrap();
        socket
    };
    let mut kept = Vec::new();
    let mut open = async |address| -> String {
        let mut stream = from(address).await.connect(edge.address).await.unwrap();
        stream
            .write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        if answer.ends_with("200") {
            kept.push(stream);
        } else {
            let words = rest(stream).await;
            assert!(words.contains("retry-after: 1\r\n"), "{words}");
        }
        answer
    };
    // The harness looks at the port from 127.0.0.1 now and then; these are others.
    for (address, expected) in [
        ("127.0.0.2:0", "200"),
        ("127.0.0.2:0", "200"),
        ("127.0.0.2:0", "200"),
        ("127.0.0.2:0", "429"),
        ("127.0.0.3:0", "200"),
        ("127.0.0.3:0", "200"),
        ("127.0.0.4:0", "503"),
    ] {
        assert_eq!(
            open(address).await,
            format!("HTTP/1.1 {expected}"),
            "{address}"
        );
    }
    edge.logs("`limits.connections").await;
    for reason in ["full", "full_for_address"] {
        assert_eq!(refused(&edge, reason).await, Some(1.0), "{reason}");
    }
    drop(kept);
    until("places are free again", SOON, || async {
        let connection = Connection::open(edge.address).await.ok();
        let answer = connection?.get("/x").await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn others_do_not_feel_those_who_are_slow() {
    let web = Upstream::start("A").await;
    let edge = edge(&web, "").await;
    let mut slow = Vec::new();
    for start in [
        "",
        "GET / HTT",
        "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n",
        "GET /big HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        for _ in 0..50 {
            let mut stream = TcpStream::connect(edge.address).await.unwrap();
            stream.write_all(start.as_bytes()).await.unwrap();
            slow.push(stream);
        }
    }
    for _ in 0..100 {
        let answer = timeout(SOON, get(edge.address, "/x"))
            .await
            .expect("it hangs");
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_its_client_before_the_first_request() {
    let web = Upstream::start("A").await;
    let port = crate::support::free_port();
    let plain = crate::support::free_port();
    let edge = Edge::prepare("");
    let file = format!(
        "listen: [\"127.0.0.1:{plain}\", \"127.0.0.1:{port}\"]\nproxy_protocol: [\"127.0.0.1:{port}\"]\n\
         trusted_proxies: [127.0.0.1]\nadmin: {{ listen: \"{}\" }}\nstate_dir: {}\n\
         services: {{ web: {{ addresses: [\"{}\"] }} }}\n",
        edge.admin,
        edge.folder.path().display(),
        web.address
    );
    std::fs::write(edge.file(), file).unwrap();
    let mut edge = edge;
    edge.spawn(&[]);
    until("it is ready", SOON, || async {
        let answer = Connection::open(edge.admin)
            .await
            .ok()?
            .get("/readyz")
            .await
            .ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
    let ask = |port: u16, from: &'static str, bytes: Vec<u8>| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(from.parse().unwrap()).unwrap();
        let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
        let _ = stream.write_all(&bytes).await;
        rest(stream).await
    };
    let get =
        b"GET /x HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 6.6.6.6\r\nconnection: close\r\n\r\n";
    let trusted = "127.0.0.1:0";
    let first = [&b"PROXY TCP4 203.0.113.5 127.0.0.1 4711 80\r\n"[..], get].concat();
    let answer = ask(port, trusted, first.clone()).await;
    assert!(
        answer.contains("[\"x-forwarded-for\",\"203.0.113.5\"]"),
        "{answer}"
    );
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    second.extend([198, 51, 100, 7, 127, 0, 0, 1, 0, 9, 0, 80]);
    let answer = ask(port, trusted, [&second, &get[..]].concat()).await;
    assert!(
        answer.contains("[\"x-forwarded-for\",\"198.51.100.7\"]"),
        "{answer}"
    );
    // Without one, from somebody else, or where nobody asked for one, it is refused.
    assert_eq!(ask(port, trusted, get.to_vec()).await, "");
    assert_eq!(ask(port, "127.0.0.2:0", first.clone()).await, "");
    for (reason, count) in [("untrusted", 1.0), ("proxy_header", 1.0)] {
        assert_eq!(refused(&edge, reason).await, Some(count), "{reason}");
    }
    let answer = ask(plain, trusted, first).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(web.requests(), 2);
}

#[tokio::test]
async fn a_proxy_that_names_nobody_takes_a_place_and_has_a_deadline() {
    let web = Upstream::start("A").await;
    let port = crate::support::free_port();
    let edge = Edge::prepare("");
    let file = format!(
        "listen: [\"{}\", \"127.0.0.1:{port}\"]\nproxy_protocol: [\"127.0.0.1:{port}\"]\n\
         trusted_proxies: [127.0.0.1]\nadmin: {{ listen: \"{}\" }}\nstate_dir: {}\n\
         timeouts: {{ header: 1s }}\nlimits: {{ connections: 10, connections_per_address: 1 }}\n\
         services: {{ web: {{ addresses: [\"{}\"] }} }}\n",
        edge.address,
        edge.admin,
        edge.folder.path().display(),
        web.address
    );
    std::fs::write(edge.file(), file).unwrap();
    let edge = edge.spawned().await;
    edge.ready().await;
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            rest(stream).await
        }));
    }
    let (mut told, mut waited) = (0, 0);
    for silent in silent {
        match silent.await.unwrap() {
            answer if answer.starts_with("HTTP/1.1 503 ") => told += 1,
            answer => {
                assert_eq!(answer, "");
                waited += 1;
            }
        }
    }
    // The harness may have had some of the places.
    assert!((1..=10).contains(&waited), "{waited} waited, {told} told");
    // Each who is named is counted by name.
    let named = async |name: &str| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("PROXY TCP4 {name} 127.0.0.1 4711 80\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
            .write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        (String::from_utf8(answer).unwrap(), stream)
    };
    let (first, _stays) = named("203.0.113.5").await;
    assert!(first.ends_with("200"), "{first}");
    let (second, _) = named("203.0.113.5").await;
    assert!(second.ends_with("429"), "{second}");
    let (other, _stays) = named("203.0.113.6").await;
    assert!(other.ends_with("200"), "{other}");
}
