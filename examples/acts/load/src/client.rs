//! Asking through the edge, with patience: what passes by itself is waited out.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How long it asks for the same thing before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(2);

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The container that answered.
    pub fn replica(&self) -> Option<&str> {
        self.headers.get("x-acts-replica")?.to_str().ok()
    }

    /// Where it sits, and how many were ready at that moment, when the edge says so.
    pub fn place(&self) -> Option<(&str, usize)> {
        let text = self.headers.get("x-tidegate-replica")?.to_str().ok()?;
        let (slot, ready) = text.split_once(";ready=")?;
        Some((slot, ready.parse().ok()?))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection at a time.
pub struct Client {
    edge: String,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// Attempts beyond the first of each request.
    pub repeated: u64,
}

impl Client {
    /// `edge` is a host and a port.
    pub fn new(edge: &str) -> Client {
        Client {
            edge: edge.to_owned(),
            connection: None,
            repeated: 0,
        }
    }

    pub async fn get(&mut self, path: &str) -> Result<Answer, String> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub async fn post(&mut self, path: &str, body: String) -> Result<Answer, String> {
        self.ask(Method::POST, path, body.into()).await
    }

    /// Any answer below 500; the error says why there was none.
    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, String> {
        let until = Instant::now() + PATIENCE;
        let mut wait = WAIT_MIN;
        loop {
            let attempt = self.attempt(method.clone(), path, body.clone());
            let outcome = match timeout(ATTEMPT_MAX, attempt).await {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(_) => Err("no answer in time".into()),
            };
            let after = match &outcome {
                Ok(answer) if answer.status.as_u16() < 500 => return outcome,
                Ok(answer) => retry_after(&answer.headers),
                Err(_) => {
                    self.connection = None;
                    Duration::ZERO
                }
            };
            if Instant::now() + wait > until {
                let why = outcome.map_or_else(|error| error, |answer| answer.status.to_string());
                return Err(format!(
                    "{method} {path}: {why}, for {} s",
                    PATIENCE.as_secs()
                ));
            }
            self.repeated += 1;
            sleep(wait.max(after)).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    async fn attempt(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        let mut connection = match self.connection.take().filter(|open| !open.is_closed()) {
            Some(open) => open,
            None => {
                let stream = TcpStream::connect(&self.edge).await?;
                let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(driver);
                sender
            }
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.edge)
            .body(Full::new(body))?;
        connection.ready().await?;
        let (head, body) = connection.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.connection = Some(connection);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }
}

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0)).min(WAIT_MAX)
}
