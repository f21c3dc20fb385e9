//! The client that means well: an open loop, half of it on connections of their own.

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

const FROM: ([u8; 4], u16) = ([127, 0, 0, 7], 0);
/// From when it was due.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Load {
    pub sent: u64,
    pub failed: u64,
    pub first_failure: Option<String>,
    waits: Vec<Duration>,
}

impl Load {
    pub fn quantile(&self, share: f64) -> Duration {
        let mut waits = self.waits.clone();
        waits.sort_unstable();
        let at = (waits.len() as f64 * share) as usize;
        waits
            .get(at.min(waits.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    }
}

type Sender = SendRequest<Empty<Bytes>>;

pub async fn run(edge: SocketAddr, rate: u32, lasts: Duration) -> Load {
    let began = Instant::now();
    let pool: Arc<Mutex<Vec<Sender>>> = Arc::default();
    let mut requests = JoinSet::new();
    let count = (lasts.as_secs_f64() * f64::from(rate)) as u32;
    for number in 0..count {
        let due = began + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
        sleep_until(due).await;
        let pool = Arc::clone(&pool);
        requests.spawn(async move {
            let keeps = number % 2 == 0;
            let asked = timeout_at(due + PATIENCE, ask(edge, &pool, keeps)).await;
            let asked = asked.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            asked.map(|()| due.elapsed())
        });
    }
    let mut load = Load::default();
    while let Some(done) = requests.join_next().await {
        load.sent += 1;
        match done.unwrap_or_else(|why| Err(why.to_string())) {
            Ok(wait) => load.waits.push(wait),
            Err(why) => {
                load.failed += 1;
                load.first_failure.get_or_insert(why);
            }
        }
    }
    load
}

async fn ask(edge: SocketAddr, pool: &Mutex<Vec<Sender>>, keeps: bool) -> Result<(), String> {
    let kept = match keeps {
        true => pool.lock().await.pop(),
        false => None,
    };
    let mut sender = match kept.filter(|kept| !kept.is_closed()) {
        Some(kept) => kept,
        None => connect(edge).await?,
    };
    let request = Request::get("/").header("host", "a").body(Empty::new());
    let request = request.map_err(|why| why.to_string())?;
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(|why| format!("sending: {why}"))?;
    if answer.status() != StatusCode::OK {
        return Err(answer.status().to_string());
    }
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(|why| why.to_string())?;
    if body.to_bytes() != "ok" {
        return Err("another body".to_owned());
    }
    if keeps && sender.ready().await.is_ok() {
        pool.lock().await.push(sender);
    }
    Ok(())
}

async fn connect(edge: SocketAddr) -> Result<Sender, String> {
    let failed = |why: std::io::Error| format!("connecting: {why}");
    let socket = TcpSocket::new_v4().map_err(failed)?;
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(FROM.into()).map_err(failed)?;
    let stream = socket.connect(edge).await.map_err(failed)?;
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|why| why.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}
