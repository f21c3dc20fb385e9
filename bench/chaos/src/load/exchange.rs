//! One request and its answer, on a connection of its own or a used one.

use super::failure::{Failure, PATIENCE, failure, is_untouched};
use super::mix::Ask;
use super::target::Target;
use super::upload::Upload;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use rustls::ClientConfig;
use serde::Deserialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// A connection that was idle for longer is left alone, long before servers tend to close it.
const IDLE_MAX: Duration = Duration::from_secs(20);
const IDLE_CONNECTIONS_MAX: usize = 256;
/// How often a request is repeated that an edge has not touched.
const TRIES_MAX: u32 = 5;
/// Says which replica answered; without it, the edge itself did.
const REPLICA_HEADER: &str = "x-acts-replica";

pub type Outcome = Result<(), Failure>;

#[derive(Clone)]
pub struct Client {
    target: Target,
    idle: Arc<Mutex<Vec<Idle>>>,
    /// The connection of HTTP/2 that requests share.
    shared: Arc<tokio::sync::Mutex<Option<http2::SendRequest<Upload>>>>,
}

struct Idle {
    sender: http1::SendRequest<Upload>,
    since: Instant,
}

impl Client {
    pub fn new(target: Target) -> Client {
        Client {
            target,
            idle: Arc::default(),
            shared: Arc::default(),
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
        if let Some(tls) = &self.target.tls {
            let response = self.by_http2(number, ask, reused, tls).await?;
            return received(response, ask).await;
        }
        let (response, sender) = self.by_http1(number, ask, reused).await?;
        let outcome = received(response, ask).await;
        if !ask.fresh && !matches!(outcome, Err(Failure::ShortBody | Failure::Reset)) {
            self.give_back(sender);
        }
        outcome
    }

    async fn by_http1(
        &self,
        number: u64,
        ask: &Ask,
        reused: &mut bool,
    ) -> Result<(Response<Incoming>, http1::SendRequest<Upload>), Failure> {
        let mut request = self.request(number, ask)?;
        loop {
            let used = if ask.fresh { None } else { self.take().await };
            *reused = used.is_some();
            let mut sender = match used {
                Some(sender) => sender,
                None => self.target.http1().await?,
            };
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                // A connection that closed while it was idle, with nothing sent, is no failure.
                Err(mut error) => match error.take_message() {
                    Some(unsent) if *reused => request = unsent,
                    _ => return Err(failure(error.error(), Failure::Closed)),
                },
            }
        }
    }

    async fn by_http2(
        &self,
        number: u64,
        ask: &Ask,
        reused: &mut bool,
        tls: &Arc<ClientConfig>,
    ) -> Result<Response<Incoming>, Failure> {
        let mut tries = 0;
        loop {
            let mut sender = match ask.fresh {
                true => self.target.http2(tls).await?,
                false => self.share(tls, reused).await?,
            };
            tries += 1;
            match sender.send_request(self.request(number, ask)?).await {
                Ok(response) => return Ok(response),
                Err(error) if tries < TRIES_MAX && is_untouched(&error) => {}
                Err(error) => return Err(failure(&error, Failure::Closed)),
            }
        }
    }

    /// The shared connection, or a new one in its place.
    async fn share(
        &self,
        tls: &Arc<ClientConfig>,
        reused: &mut bool,
    ) -> Result<http2::SendRequest<Upload>, Failure> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = &mut *shared
            && sender.ready().await.is_ok()
        {
            *reused = true;
            return Ok(sender.clone());
        }
        *reused = false;
        let sender = self.target.http2(tls).await?;
        Ok(shared.insert(sender).clone())
    }

    fn request(&self, number: u64, ask: &Ask) -> Result<Request<Upload>, Failure> {
        let joint = if ask.path.contains('?') { '&' } else { '?' };
        // The number finds it again in the edge's logs.
        let path = format!("{}{joint}request={number}", ask.path);
        let host = self.target.address;
        let is_http2 = self.target.tls.is_some();
        let mut request = Request::builder().method(ask.method);
        request = match is_http2 {
            true => request.uri(format!("https://{host}{path}")),
            false => request.uri(path).header(HOST, host.to_string()),
        };
        if ask.body_bytes > 0 {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if ask.filler_bytes > 0 {
            request = request.header("x-filler", "f".repeat(ask.filler_bytes));
        }
        if ask.fresh && !is_http2 {
            request = request.header(CONNECTION, "close");
        }
        request
            .body(Upload::new(ask))
            .map_err(|why| Failure::Other(why.to_string()))
    }

    /// The connection that was used last and is still open.
    async fn take(&self) -> Option<http1::SendRequest<Upload>> {
        loop {
            let mut idle = self.idle().pop()?;
            if idle.since.elapsed() < IDLE_MAX && idle.sender.ready().await.is_ok() {
                return Some(idle.sender);
            }
        }
    }

    fn give_back(&self, sender: http1::SendRequest<Upload>) {
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

/// Reads an answer, and looks whether it is the right one.
async fn received(response: Response<Incoming>, ask: &Ask) -> Outcome {
    let (head, body) = response.into_parts();
    let by_replica = head.headers.contains_key(REPLICA_HEADER);
    let body = body
        .collect()
        .await
        .map_err(|error| failure(&error, Failure::ShortBody))?
        .to_bytes();
    if head.status != StatusCode::OK {
        let code = head.status.as_u16();
        return Err(Failure::Status { code, by_replica });
    }
    if ask.body_bytes > 0 && echoed(&body) != Some(ask.body_bytes) {
        return Err(Failure::WrongBody);
    }
    Ok(())
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
