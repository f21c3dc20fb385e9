//! One request and its answer, on a connection of its own or a used one.

use super::mix::Ask;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout_at};

/// Counted from when the request was due.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between the halves of a slow upload.
const PAUSE: Duration = Duration::from_millis(60);
/// A connection that was idle for longer is left alone, long before servers tend to close it.
const IDLE_MAX: Duration = Duration::from_secs(20);
const IDLE_CONNECTIONS_MAX: usize = 256;
/// Says which replica answered; without it, the edge itself did.
const REPLICA_HEADER: &str = "x-acts-replica";

pub type Outcome = Result<(), Failure>;

/// Everything that a user would not call an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Nobody listened.
    Refused,
    /// The connection was reset before the answer was complete.
    Reset,
    /// The connection ended before the answer began.
    Closed,
    /// The connection ended in the middle of the answer.
    ShortBody,
    /// The answer is complete, and is not what was asked for.
    WrongBody,
    TimedOut,
    Status {
        code: u16,
        by_replica: bool,
    },
    Other(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Refused => f.write_str("connection refused"),
            Failure::Reset => f.write_str("connection reset"),
            Failure::Closed => f.write_str("closed without an answer"),
            Failure::ShortBody => f.write_str("answer cut short"),
            Failure::WrongBody => f.write_str("wrong answer"),
            Failure::TimedOut => write!(f, "no answer within {} s", PATIENCE.as_secs()),
            Failure::Status { code, by_replica } => {
                write!(
                    f,
                    "{code} by the {}",
                    if *by_replica { "replica" } else { "edge" }
                )
            }
            Failure::Other(why) => f.write_str(why),
        }
    }
}

#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    idle: Arc<Mutex<Vec<Idle>>>,
}

struct Idle {
    sender: SendRequest<Upload>,
    since: Instant,
}

impl Client {
    pub fn new(address: SocketAddr) -> Client {
        Client {
            address,
            idle: Arc::default(),
        }
    }

    /// Whether it went out on a used connection, and what became of it.
    pub async fn ask(&self, number: u64, ask: &Ask, due: Instant) -> (bool, Outcome) {
        let mut reused = false;
        let exchange = self.exchange(number, ask, &mut reused);
        let outcome = timeout_at(due + PATIENCE, exchange).await;
        (reused, outcome.unwrap_or(Err(Failure::TimedOut)))
    }

    async fn exchange(&self, number: u64, ask: &Ask, reused: &mut bool) -> Outcome {
        let mut request = self.request(number, ask)?;
        let (response, sender) = loop {
            let used = if ask.fresh { None } else { self.take().await };
            *reused = used.is_some();
            let mut sender = match used {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => break (response, sender),
                // A connection that closed while it was idle, with nothing sent, is no failure.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if *reused => request = unsent,
                    _ => return Err(failure(error.error(), Failure::Closed)),
                },
            }
        };
        let (head, body) = response.into_parts();
        let by_replica = head.headers.contains_key(REPLICA_HEADER);
        let body = body
            .collect()
            .await
            .map_err(|error| failure(&error, Failure::ShortBody))?
            .to_bytes();
        if !ask.fresh {
            self.give_back(sender);
        }
        if head.status != StatusCode::OK {
            let code = head.status.as_u16();
            return Err(Failure::Status { code, by_replica });
        }
        if ask.body_bytes > 0 && echoed(&body) != Some(ask.body_bytes) {
            return Err(Failure::WrongBody);
        }
        Ok(())
    }

    fn request(&self, number: u64, ask: &Ask) -> Result<Request<Upload>, Failure> {
        let joint = if ask.path.contains('?') { '&' } else { '?' };
        // The number finds it again in the edge's logs.
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{joint}request={number}", ask.path))
            .header(HOST, self.address.to_string());
        if ask.body_bytes > 0 {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if ask.filler_bytes > 0 {
            request = request.header("x-filler", "f".repeat(ask.filler_bytes));
        }
        if ask.fresh {
            request = request.header(CONNECTION, "close");
        }
        request
            .body(Upload::new(ask))
            .map_err(|why| Failure::Other(why.to_string()))
    }

    async fn connect(&self) -> Result<SendRequest<Upload>, Failure> {
        let stream =
            TcpStream::connect(self.address)
                .await
                .map_err(|error| match error.kind() {
                    ErrorKind::ConnectionRefused => Failure::Refused,
                    ErrorKind::ConnectionReset => Failure::Reset,
                    _ => Failure::Other(error.to_string()),
                })?;
        // Halves of a body are to leave when they are sent.
        let _ = stream.set_nodelay(true);
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failure(&error, Failure::Closed))?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// The connection that was used last and is still open.
    async fn take(&self) -> Option<SendRequest<Upload>> {
        loop {
            let mut idle = self.idle().pop()?;
            if idle.since.elapsed() < IDLE_MAX && idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    fn give_back(&self, sender: SendRequest<Upload>) {
        let mut idle = self.idle();
        if !sender.is_closed() && idle.len() < IDLE_CONNECTIONS_MAX {
            let since = Instant::now();
            idle.push(Idle { sender, since });
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hyper's error in a user's words; `ended`: the meaning of an early end of the connection here.
fn failure(error: &hyper::Error, ended: Failure) -> Failure {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return match error.kind() {
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Failure::Reset,
                ErrorKind::UnexpectedEof => ended,
                _ => Failure::Other(error.to_string()),
            };
        }
        cause = error.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return ended;
    }
    Failure::Other(error.to_string())
}

/// How much of a body `_echo` says it got.
fn echoed(answer: &[u8]) -> Option<usize> {
    #[derive(Deserialize)]
    struct Echo {
        #[serde(rename = "bodyLength")]
        body_length: usize,
    }
    let echo: Echo = serde_json::from_slice(answer).ok()?;
    Some(echo.body_length)
}

/// A body of one piece or two.
struct Upload {
    pieces: VecDeque<Bytes>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Upload {
    fn new(ask: &Ask) -> Upload {
        let mut pieces = VecDeque::new();
        if ask.body_bytes > 0 {
            let quotes = r#"{"f":""}"#.len();
            let filler = "f".repeat(ask.body_bytes.saturating_sub(quotes));
            let mut body = Bytes::from(format!(r#"{{"f":"{filler}"}}"#));
            if ask.slow {
                pieces.push_back(body.split_to(body.len() / 2));
            }
            pieces.push_back(body);
        }
        Upload {
            pieces,
            pause: None,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        let Some(piece) = self.pieces.pop_front() else {
            return Poll::Ready(None);
        };
        if !self.pieces.is_empty() {
            self.pause = Some(Box::pin(sleep(PAUSE)));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum())
    }
}
