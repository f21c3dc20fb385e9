//! What stands between the client and the containers: Tidegate, or HAProxy as its peer.

mod haproxy;
mod held;
mod stalled;
mod tidegate;

pub use haproxy::Haproxy;
pub use tidegate::{NEIGHBOUR, Neighbour, Tidegate, Wish};

use crate::docker::Docker;
use crate::happen::Strength;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

pub const IMAGE: &str = "acts:latest";
/// What the replicas add to each answer, so that none is over before it began.
pub const ANSWER_DELAY_MS: u32 = 5;
/// A strength that does not last this long was a failure that nobody had noticed yet: longer than
/// a health check's interval and timeout together.
const SETTLED_AFTER: Duration = Duration::from_millis(2200);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOK_WITHIN: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Tidegate,
    Haproxy,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Tidegate => "tidegate",
            Kind::Haproxy => "haproxy",
        }
    }
}

/// A container as the edge sees it.
#[derive(Clone, Debug)]
pub struct Replica {
    pub id: String,
    /// On 127.0.0.1.
    pub port: u16,
    pub ready: bool,
}

/// What an edge is started with.
pub struct Setup {
    /// The program under test.
    pub tidegate: PathBuf,
    pub port: u16,
    pub replicas: u32,
    pub docker: Docker,
    /// The socket on which the edge meets the engine, when it is another one.
    pub wire: Option<PathBuf>,
    /// Whether its log is a pipe that nobody reads.
    pub stalls: bool,
    /// Whether somebody else holds the socket on which it listens.
    pub held: bool,
    /// The server behind `tunnels::PATH`, if there is one.
    pub echo: Option<SocketAddr>,
    pub logs_requests: bool,
}

pub enum Edge {
    Tidegate(Tidegate),
    Haproxy(Haproxy),
}

impl Edge {
    pub fn address(&self) -> SocketAddr {
        match self {
            Edge::Tidegate(edge) => edge.address,
            Edge::Haproxy(edge) => edge.address,
        }
    }

    pub fn eye(&self) -> Eye {
        match self {
            Edge::Tidegate(edge) => edge.eye(),
            Edge::Haproxy(edge) => edge.eye(),
        }
    }

    /// TERM, or what an edge calls it: it leaves when it has finished what is in flight.
    pub async fn leave(&mut self) -> Result<(), String> {
        match self {
            Edge::Tidegate(edge) => edge.leave().await,
            Edge::Haproxy(edge) => edge.leave().await,
        }
    }

    pub async fn kill(&mut self) -> Result<(), String> {
        match self {
            Edge::Tidegate(edge) => edge.kill().await,
            Edge::Haproxy(edge) => edge.kill().await,
        }
    }

    pub fn spawn(&mut self) -> Result<(), String> {
        match self {
            Edge::Tidegate(edge) => edge.spawn(),
            Edge::Haproxy(edge) => edge.spawn(),
        }
    }

    pub fn log(&self) -> String {
        match self {
            Edge::Tidegate(edge) => edge.log(),
            Edge::Haproxy(edge) => edge.log(),
        }
    }

    pub fn keep_logs(&self, folder: &Path) -> std::io::Result<()> {
        match self {
            Edge::Tidegate(edge) => edge.keep_logs(folder),
            Edge::Haproxy(edge) => edge.keep_logs(folder),
        }
    }
}

/// Sees what the edge says of its replicas, also while the edge is being restarted.
#[derive(Clone)]
pub enum Eye {
    /// Tidegate's admin API.
    Admin(SocketAddr),
    /// HAProxy's statistics socket, and its servers by name.
    Statistics {
        socket: PathBuf,
        servers: BTreeMap<String, (String, u16)>,
    },
}

impl Eye {
    /// Nothing when the edge does not answer.
    pub async fn look(&self) -> Option<Vec<Replica>> {
        let look = async {
            match self {
                Eye::Admin(admin) => tidegate::look(*admin).await,
                Eye::Statistics { socket, servers } => haproxy::look(socket, servers).await,
            }
        };
        timeout(LOOK_WITHIN, look).await.ok()?
    }

    /// Watches while `happening` goes on, and until everything is as it should be and stays so,
    /// for which there is `patience`. Begins with the first moment: the edge may be faster than
    /// the command.
    pub async fn through<T>(
        &self,
        patience: Duration,
        is_full: impl Fn(&[Replica]) -> bool,
        happening: impl Future<Output = Result<T, String>>,
    ) -> Result<(Strength, T), String> {
        let from = Instant::now();
        let mut happening = pin!(happening);
        let mut happened = None;
        let mut since = None;
        let mut broke = false;
        loop {
            let seen = if happened.is_some() {
                self.look().await
            } else {
                let mut look = pin!(self.look());
                tokio::select! {
                    seen = &mut look => seen,
                    result = &mut happening => {
                        happened = Some((result?, Instant::now()));
                        look.await
                    }
                }
            };
            let now = Instant::now();
            if seen.is_some_and(|replicas| is_full(&replicas)) {
                since.get_or_insert(now);
            } else {
                since = None;
                broke = true;
            }
            if let Some((_, end)) = &happened {
                let strength = match since {
                    Some(_) if !broke => Some(Strength::Untouched),
                    Some(since) => Some(Strength::After(since - from)),
                    None if now - *end >= patience => Some(Strength::Never),
                    None => None,
                };
                let lasts = since.is_none_or(|since| now - since >= SETTLED_AFTER);
                if let Some(strength) = strength.filter(|_| lasts)
                    && let Some((result, _)) = happened
                {
                    return Ok((strength, result));
                }
            }
            match &happened {
                Some(_) => sleep(LOOK_EVERY).await,
                None => tokio::select! {
                    () = sleep(LOOK_EVERY) => {}
                    result = &mut happening => happened = Some((result?, Instant::now())),
                },
            }
        }
    }

    /// Waits until everything is as it should be and stays so.
    pub async fn full(
        &self,
        patience: Duration,
        is_full: impl Fn(&[Replica]) -> bool,
    ) -> Result<Strength, String> {
        let nothing = std::future::ready(Ok(()));
        Ok(self.through(patience, is_full, nothing).await?.0)
    }
}

pub async fn image_present() -> Result<(), String> {
    let docker = Docker::default();
    let inspect = docker
        .run(&["image", "inspect", "--format", "{{.Id}}", IMAGE])
        .await;
    match inspect {
        Ok(_) => Ok(()),
        Err(why) => Err(format!("{why}\n  hint: `make image` builds {IMAGE}")),
    }
}

/// `count` replicas, each of them ready.
pub fn all_ready(replicas: &[Replica], count: usize) -> bool {
    replicas.len() == count && replicas.iter().all(|replica| replica.ready)
}

/// Sends a request without a body.
async fn fetch(
    address: SocketAddr,
    method: &str,
    path: &str,
) -> Result<(u16, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.to_string())
        .header("connection", "close")
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>((status, body))
    };
    // Whichever is dropped takes the connection with it, so none is left behind.
    tokio::select! {
        answer = exchange => Ok(answer?),
        Err(why) = connection => Err(why.into()),
    }
}

/// Makes the replica's program answer 500 to everything from now on.
pub async fn crash(replica: &Replica) -> Result<(), String> {
    let address = ([127, 0, 0, 1], replica.port).into();
    match fetch(address, "POST", "/api/v1/_crash").await {
        Ok((200, _)) => Ok(()),
        Ok((status, _)) => Err(format!("_crash was answered with {status}")),
        Err(why) => Err(format!("_crash: {why}")),
    }
}
