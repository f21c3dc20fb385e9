//! Replicas that follow a script and record their requests.

use super::wire::{Message, Wire};
use socket2::SockRef;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;

/// Path of a health check that waits until the replica is well.
pub const HEALTH: &str = "/health";

/// A step of a replica after the head of a request.
#[derive(Clone)]
pub enum Act {
    /// Reads the body.
    Read,
    Write(&'static str),
    /// Waits for [`Replicas::resume`].
    Pause,
    Close,
    Reset,
    /// Waits until the edge closes the connection.
    AwaitEnd,
    /// Sends every byte back, and `bye` when the edge has closed its half.
    Echo,
}

/// Acts for the first request, the second, and so on; the last entry serves all later ones.
pub type Script = Vec<Vec<Act>>;

/// Record of the replicas of a row.
#[derive(Default)]
pub struct Seen {
    /// Requests in their order, each with the replica's number.
    pub requests: Vec<(usize, Message)>,
    /// Connections that the edge closed during an `AwaitEnd`.
    pub ended: usize,
}

/// The replicas of one row.
pub struct Replicas {
    pub addresses: Vec<SocketAddr>,
    shared: Vec<Arc<Shared>>,
    servers: Mutex<Vec<JoinHandle<()>>>,
    seen: Arc<watch::Sender<Seen>>,
}

struct Shared {
    number: usize,
    script: Script,
    served: AtomicUsize,
    resumed: Notify,
    is_well: watch::Sender<bool>,
    seen: Arc<watch::Sender<Seen>>,
}

impl Replicas {
    pub async fn start(scripts: &[Script], are_well: bool) -> Replicas {
        let mut replicas = Replicas {
            addresses: Vec::new(),
            shared: Vec::new(),
            servers: Mutex::default(),
            seen: Arc::default(),
        };
        for (number, script) in scripts.iter().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let shared = Arc::new(Shared {
                number,
                script: script.clone(),
                served: AtomicUsize::new(0),
                resumed: Notify::new(),
                is_well: watch::Sender::new(are_well),
                seen: Arc::clone(&replicas.seen),
            });
            replicas
                .addresses
                .push(listener.local_addr().expect("bound"));
            replicas.shared.push(Arc::clone(&shared));
            let server = tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&shared)));
                }
            });
            replicas.servers.get_mut().push(server);
        }
        replicas
    }

    pub async fn wait_for(&self, what: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        seen.wait_for(what).await.expect("the sender is ours");
    }

    pub fn requests(&self) -> Vec<(usize, Message)> {
        self.seen.borrow().requests.clone()
    }

    /// Ends the pause of a replica.
    pub fn resume(&self, number: usize) {
        self.shared[number].resumed.notify_one();
    }

    pub fn heal(&self) {
        for shared in &self.shared {
            shared.is_well.send_replace(true);
        }
    }

    /// Makes a replica refuse connections from now on.
    pub async fn stop(&self, number: usize) {
        let server = &mut self.servers.lock().await[number];
        server.abort();
        let _ = server.await;
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let mut wire = Wire::new(stream);
    while let Some(mut message) = wire.head().await {
        if message.line.contains(HEALTH) {
            let is_well = &mut shared.is_well.subscribe();
            let _ = is_well.wait_for(|is_well| *is_well).await;
            let fine = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            wire.send(fine).await;
            continue;
        }
        let mut place = 0;
        shared.seen.send_modify(|seen| {
            place = seen.requests.len();
            seen.requests.push((shared.number, message.clone()));
        });
        let turn = shared.served.fetch_add(1, Ordering::Relaxed);
        let acts = shared.script.get(turn).or(shared.script.last());
        for act in acts.into_iter().flatten() {
            match act {
                Act::Read => {
                    wire.request_body(&mut message).await;
                    let message = message.clone();
                    shared
                        .seen
                        .send_modify(|seen| seen.requests[place].1 = message);
                }
                Act::Write(text) => wire.send(text.as_bytes()).await,
                Act::Pause => shared.resumed.notified().await,
                Act::Close => return,
                Act::Reset => {
                    let socket = SockRef::from(&wire.stream);
                    let _ = socket.set_linger(Some(Duration::ZERO));
                    return;
                }
                Act::AwaitEnd => {
                    wire.receive_rest().await;
                    shared.seen.send_modify(|seen| seen.ended += 1);
                    return;
                }
                Act::Echo => {
                    let sent = wire.receive_rest().await;
                    shared
                        .seen
                        .send_modify(|seen| seen.requests[place].1.body = sent.clone());
                    wire.send(&[&sent[..], b"bye"].concat()).await;
                    return;
                }
            }
        }
    }
}
