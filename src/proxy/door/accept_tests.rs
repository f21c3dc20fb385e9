use super::*;
use crate::plugin::{Filter, Observer, Record, Request, Verdict};
use crate::proxy::answers::own::plain;
use crate::proxy::chain::Chain;
use crate::proxy::request::in_flight::InFlight;
use crate::proxy::route::{Claim, Route, Routes};
use crate::service::spec::{Forward, ServiceName};
use crate::service::store::store;
use async_trait::async_trait;
use http::StatusCode;
use pingora::apps::ReusedHttpStream;
use pingora::protocols::http::ServerSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

/// Requests that one client sends ahead, all at once.
const AHEAD: usize = 1000;
/// Requests that another client waits for at most: tokio interrupts a task that has done so much
/// without waiting.
const TURN_MAX: usize = 200;

/// Notes the target of each finished request.
struct Order(UnboundedSender<String>);

impl Observer for Order {
    fn request(&self, record: &Record<'_>) {
        let _ = self.0.send(record.target.to_owned());
    }
}

/// Answers in place of any service.
struct Greeter;

impl Filter for Greeter {
    fn request(&self, _request: &mut Request<'_>) -> Verdict {
        Verdict::Answer(plain(StatusCode::OK))
    }
}

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

/// A door on one thread, and the targets that it answers in their order.
async fn door() -> (SocketAddr, UnboundedReceiver<String>) {
    let (sender, order) = unbounded_channel();
    let route = Route {
        service: ServiceName::new("web"),
        forward: Forward::default(),
        scaler: None,
        chain: Chain::new(vec![Arc::new(Greeter)], vec![Arc::new(Order(sender))]),
        keeps_encoded_slashes: false,
    };
    let settings = Settings {
        routes: Routes::new([(Claim::default(), Arc::new(route))]),
        ..Settings::with(Chain::default())
    };
    let settings = Arc::new(ArcSwap::from_pointee(settings));
    let (_writer, reader) = store();
    let tell: Tell = Arc::new(|_| {});
    let edge = Edge::new(
        reader,
        Arc::clone(&settings),
        InFlight::default(),
        Arc::clone(&tell),
    );
    let acceptor = Arc::new(Acceptor::new(Nobody, edge, settings, tell));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (open, shutdown) = watch::channel(false);
    tokio::spawn(async move {
        acceptor
            .accept(Arc::new(listener), Scheme::HTTP, shutdown)
            .await;
        drop(open);
    });
    (address, order)
}

/// A connection whose first request was answered, with room for all the answers to come.
async fn connected(address: SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 20).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(&request("/first")).await.unwrap();
    stream.read_u8().await.unwrap();
    stream
}

fn request(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

/// Client and door take turns on one thread, so both connections have all of their requests
/// before the door looks at either.
#[tokio::test]
async fn a_client_with_a_thousand_requests_does_not_keep_others_waiting() {
    let (address, mut order) = door().await;
    let (busy, other) = (connected(address).await, connected(address).await);
    for _ in 0..2 {
        assert_eq!(order.recv().await.unwrap(), "/first");
    }
    let ahead = request("/busy").repeat(AHEAD);
    assert_eq!(busy.try_write(&ahead).unwrap(), ahead.len());
    let asked = request("/other");
    assert_eq!(other.try_write(&asked).unwrap(), asked.len());
    let mut before = 0;
    while order.recv().await.unwrap() != "/other" {
        before += 1;
    }
    assert!(before <= TURN_MAX, "{before} requests were served before");
}
