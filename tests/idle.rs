//! Connections to replicas that nobody uses for a while, and what is sent on them then.

use crate::support::client::Connection;
use crate::support::edge::Edge;
use http::Request;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Takes no request on a connection that was silent for as long as its limit: closes it instead,
/// as a program does whose own clock rings just then.
struct Impatient {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    lost: AtomicU64,
}

impl Impatient {
    async fn start(limit: Duration, says: &'static str) -> Impatient {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let counts = Arc::<Counts>::default();
        let all = Arc::clone(&counts);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, limit, says, Arc::clone(&all)));
            }
        });
        Impatient { address, counts }
    }

    async fn edge(&self) -> Edge {
        let address = self.address;
        let edge = Edge::start(&format!(
            "services:\n  web:\n    addresses: [\"{address}\"]\n    \
             healthcheck: {{ type: tcp, interval: 60s }}\n"
        ))
        .await;
        edge.ready().await;
        edge
    }

    fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    limit: Duration,
    says: &'static str,
    counts: Arc<Counts>,
) -> Option<()> {
    let mut is_used = false;
    loop {
        let since = Instant::now();
        let mut heard = Vec::new();
        // Each request of these tests ends like this.
        while !heard.ends_with(b"end") && !heard.ends_with(b"0\r\n\r\n") {
            if stream.read_buf(&mut heard).await.ok()? == 0 {
                return None;
            }
            if is_used && since.elapsed() >= limit {
                counts.lost.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        }
        if !is_used {
            counts.connections.fetch_add(1, Ordering::Relaxed);
        }
        is_used = true;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{says}\r\n");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

/// A request on the plain way, or the same on Pingora's.
fn way(number: usize, method: &str) -> http::request::Builder {
    let request = Request::builder().method(method).uri("/x");
    match number {
        0 => request,
        _ => request.header("te", "trailers"),
    }
}

/// Asks twice on one connection, with a pause between; returns the statuses.
async fn twice(
    edge: SocketAddr,
    request: [http::request::Builder; 2],
    pause: Duration,
) -> [u16; 2] {
    let mut connection = Connection::open(edge).await.expect("a connection");
    let [first, second] = request;
    let first = connection.send(first, "end").await.expect("an answer");
    sleep(pause).await;
    let second = connection.send(second, "end").await.expect("an answer");
    [first, second].map(|answer| answer.status.as_u16())
}

#[tokio::test]
async fn a_post_is_not_lost_to_a_replica_that_closes_idle_connections() {
    let web = Impatient::start(Duration::from_secs(1), "").await;
    let edge = web.edge().await;
    let pause = Duration::from_millis(1200);
    let asked = (0..40).map(|number| {
        twice(
            edge.address,
            [(); 2].map(|()| way(number % 2, "POST")),
            pause,
        )
    });
    let asked = futures_util::future::join_all(asked).await;
    assert_eq!(asked, vec![[200, 200]; 40]);
    assert_eq!(web.lost(), 0);
}

#[tokio::test]
async fn a_replica_is_believed_how_long_it_keeps_a_connection() {
    // Of the 2 s that it says, the first one is safe.
    let web = Impatient::start(Duration::from_secs(2), "keep-alive: timeout=2\r\n").await;
    let edge = web.edge().await;
    // Both share one pool.
    for (number, connections) in [(0, 2), (1, 3)] {
        let pause = Duration::from_millis(1500);
        let requests = [(); 2].map(|()| way(number, "GET"));
        assert_eq!(twice(edge.address, requests, pause).await, [200, 200]);
        assert_eq!(web.connections(), connections, "way {number}");
    }
}
