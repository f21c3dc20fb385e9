//! An open-loop client: each request is sent when it is due, whatever became of those before.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidegate::simulate::arrivals::TraceRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// A request that is not answered by then has failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than any answer of ours has.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Result of one request.
pub struct Answered {
    /// Since the load began.
    pub due: Duration,
    /// Beyond its own service time, from when it was due; of a failed one, until it failed.
    pub waited: Duration,
    pub failed: Option<String>,
}

pub struct Sent {
    pub answers: Vec<Answered>,
    /// How late the client itself was, at most: what the machine had no time for.
    pub late_max: Duration,
}

type Idle = Arc<Mutex<Vec<TcpStream>>>;

/// Sends all of them, and waits for every answer.
pub async fn send(edge: SocketAddr, requests: Vec<TraceRequest>, began: Instant) -> Sent {
    let idle = Idle::default();
    let mut in_flight = JoinSet::new();
    let mut answers = Vec::with_capacity(requests.len());
    let mut late_max = Duration::ZERO;
    for request in requests {
        let due = Duration::from_nanos(request.at);
        sleep_until(began + due).await;
        late_max = late_max.max(began.elapsed().saturating_sub(due));
        let idle = Arc::clone(&idle);
        in_flight.spawn(async move {
            let service = Duration::from_nanos(request.service);
            let asked = timeout(PATIENCE, ask(edge, service, &idle)).await;
            let failed = match asked {
                Ok(Ok(())) => None,
                Ok(Err(why)) => Some(why),
                Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            let took = began.elapsed().saturating_sub(due);
            Answered {
                due,
                waited: took.saturating_sub(service),
                failed,
            }
        });
        while let Some(Ok(answer)) = in_flight.try_join_next() {
            answers.push(answer);
        }
    }
    while let Some(answer) = in_flight.join_next().await {
        answers.extend(answer.ok());
    }
    Sent { answers, late_max }
}

/// One request on a connection of its own, which takes the service no time.
pub async fn once(edge: SocketAddr) -> Result<(), String> {
    ask(edge, Duration::ZERO, &Idle::default()).await
}

async fn ask(edge: SocketAddr, service: Duration, idle: &Idle) -> Result<(), String> {
    let used = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    if let Some(mut stream) = used {
        match exchange(&mut stream, edge, service).await {
            Ok(()) => return keep(stream, idle),
            // Closed while it idled; nothing was answered.
            Err(Broken::Before(_)) => {}
            Err(Broken::Amid(why)) => return Err(why),
        }
    }
    let stream = TcpStream::connect(edge).await;
    let mut stream = stream.map_err(|why| format!("connecting: {why}"))?;
    let _ = stream.set_nodelay(true);
    match exchange(&mut stream, edge, service).await {
        Ok(()) => keep(stream, idle),
        Err(Broken::Before(why) | Broken::Amid(why)) => Err(why),
    }
}

fn keep(stream: TcpStream, idle: &Idle) -> Result<(), String> {
    idle.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(stream);
    Ok(())
}

enum Broken {
    /// Before any of the answer came.
    Before(String),
    Amid(String),
}

async fn exchange(
    stream: &mut TcpStream,
    edge: SocketAddr,
    service: Duration,
) -> Result<(), Broken> {
    let before = |why: std::io::Error| Broken::Before(why.to_string());
    let micros = service.as_micros();
    let request = format!("GET /busy/{micros} HTTP/1.1\r\nhost: {edge}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(before)?;
    let mut answer = Vec::with_capacity(512);
    loop {
        let read = stream.read_buf(&mut answer).await;
        match read {
            Ok(0) if answer.is_empty() => {
                return Err(Broken::Before("closed without an answer".to_owned()));
            }
            Ok(0) => return Err(Broken::Amid("the answer was cut short".to_owned())),
            Ok(_) => {}
            Err(why) if answer.is_empty() => return Err(before(why)),
            Err(why) => return Err(Broken::Amid(why.to_string())),
        }
        if let Some(whole) = is_whole(&answer)? {
            return whole;
        }
        if answer.len() > HEAD_BYTES_MAX {
            return Err(Broken::Amid("the answer does not end".to_owned()));
        }
    }
}

/// `None`: more is to come.
fn is_whole(answer: &[u8]) -> Result<Option<Result<(), Broken>>, Broken> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(None);
    };
    let mut lines = head.lines();
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.unwrap_or(0);
    if body.len() < length {
        return Ok(None);
    }
    let status = head.lines().next().unwrap_or_default();
    Ok(Some(match status.contains(" 200 ") {
        true => Ok(()),
        false => Err(Broken::Amid(status.to_owned())),
    }))
}
