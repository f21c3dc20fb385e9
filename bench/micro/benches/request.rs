//! Allocations of a request on its whole way: from a client's connection to a replica's and back.

use crate::stage;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::uri::Scheme;
use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tidegate::proxy::route::{Claim, Route, Routes};
use tidegate::proxy::{Acceptor, Bounds, Chain, Edge, InFlight, Limits, Settings, Tell};
use tidegate::service::spec::{Forward, ServiceName};
use tidegate::service::store::store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

const BODY: usize = 64 << 10;
/// Requests that fill pools and tables.
const WARM_UP: usize = 100;
const COUNTED: usize = 1000;
/// Allocations that a request may make: its head, the replica's, and what is written of both.
const ALLOCATIONS_MAX: f64 = 25.0;

/// Stands where Pingora's proxy is; no request here goes through it.
struct Nobody;

#[async_trait]
impl HttpServerApp for Nobody {
    async fn process_new_http(
        self: &Arc<Self>,
        _session: ServerSession,
        _shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        None
    }
}

fn settings() -> Settings {
    const LONG: Duration = Duration::from_secs(60);
    let route = Arc::new(Route {
        service: ServiceName::new("web"),
        forward: Forward::default(),
        scaler: None,
        chain: Chain::default(),
        keeps_encoded_slashes: false,
    });
    Settings {
        routes: Routes::new([(Claim::default(), route)]),
        chain: Chain::default(),
        keepalive_timeout: LONG,
        client_read_timeout: LONG,
        client_write_timeout: LONG,
        limits: Limits {
            header_bytes: 64 << 10,
            headers: 100,
            target_bytes: 8 << 10,
        },
        bounds: Bounds {
            connections: 100,
            connections_per_address: 100,
            header_timeout: LONG,
            min_rate_bytes: 0,
            proxy_protocol: Vec::new(),
        },
        tls: None,
        trusted_proxies: Vec::new(),
    }
}

/// Answers each request with a body of this length; allocates nothing for it.
async fn replica(listener: TcpListener, body: usize) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\n\r\n");
    let answer = [head.into_bytes(), vec![b'x'; body]].concat();
    let (mut stream, _) = listener.accept().await.expect("accepted");
    let mut request = [0; 4096];
    while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
        stream.write_all(&answer).await.expect("it is open");
    }
}

/// An edge in front of that replica, on the calling thread.
async fn edge(body: usize) -> SocketAddr {
    let behind = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let to = behind.local_addr().expect("bound");
    tokio::spawn(replica(behind, body));
    let (mut writer, reader) = store();
    writer.publish(stage::snapshot(stage::service_at(&writer, 1, to)));
    let settings = Arc::new(ArcSwap::from_pointee(settings()));
    let tell: Tell = Arc::new(|_| {});
    let in_flight = InFlight::default();
    let edge = Edge::new(reader, Arc::clone(&settings), in_flight, Arc::clone(&tell));
    let acceptor = Arc::new(Acceptor::new(Nobody, edge, settings, tell));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (open, shutdown) = watch::channel(false);
    tokio::spawn(async move {
        acceptor
            .accept(Arc::new(listener), Scheme::HTTP, shutdown)
            .await;
        drop((open, writer));
    });
    address
}

/// Asks as often, and reads every answer to its end.
async fn ask(stream: &mut TcpStream, times: usize, body: usize) {
    let mut room = [0; 16 << 10];
    for _ in 0..times {
        let request = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: micro\r\n\
            Accept: */*\r\n\r\n";
        stream.write_all(request).await.expect("it is open");
        let mut left = None;
        while left != Some(0) {
            let count = stream.read(&mut room).await.expect("it is open");
            assert!(count > 0, "closed");
            left = Some(match left {
                Some(left) => left - count,
                None => {
                    let text = &room[..count];
                    assert!(text.starts_with(b"HTTP/1.1 200 "));
                    let end = text.windows(4).position(|four| four == b"\r\n\r\n");
                    body + end.expect("a whole head") + 4 - count
                }
            });
        }
    }
}

fn allocations(runtime: &Runtime, body: usize) -> (f64, f64) {
    let mut stream = runtime.block_on(async {
        let address = edge(body).await;
        let mut stream = TcpStream::connect(address).await.expect("connected");
        ask(&mut stream, WARM_UP, body).await;
        stream
    });
    let allocated = allocation_counter::measure(|| {
        runtime.block_on(ask(&mut stream, COUNTED, body));
    });
    let each = |count: u64| count as f64 / COUNTED as f64;
    (each(allocated.count_total), each(allocated.bytes_total))
}

pub fn measure() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for (about, body) in [("a small GET", 2), ("an answer of 64 KiB", BODY)] {
        let (count, bytes) = allocations(&runtime, body);
        println!("{about}: {count:.1} allocations, {bytes:.0} bytes");
        assert!(
            count <= ALLOCATIONS_MAX,
            "{about} allocates more often than it did"
        );
    }
}
