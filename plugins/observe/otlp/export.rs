//! The thread that sends spans to the collector, and its queue. The numbers are those of
//! OpenTelemetry's batch processor.

use super::span::{Span, request};
use crate::plugin::prelude::*;
use http::Uri;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use prometheus::{IntCounter, IntCounterVec};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{Instant, timeout, timeout_at};

/// Most spans that wait.
pub const QUEUE_SPANS_MAX: usize = 2048;
/// Most spans in one request.
const BATCH_SPANS_MAX: usize = 512;
/// Longest wait of a span for others.
const GATHERED_FOR: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 64 << 10;
const ATTEMPTS: u32 = 3;
/// Pause after the first failure; doubled after each further one.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Longest wait for the collector at the end of the process.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// The collector, and the identity of the sender.
#[derive(Clone)]
pub struct Collector {
    /// Host and port.
    pub authority: String,
    pub path: String,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub service_name: String,
}

impl Collector {
    /// The collector at `endpoint`, the base of OTLP/HTTP.
    pub fn at(endpoint: &str) -> Result<Collector, String> {
        let uri: Uri = endpoint.parse().map_err(|_| "not a URL".to_owned())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                let hint = "https is not spoken; let a collector on this machine forward";
                return Err(hint.to_owned());
            }
            _ => return Err("must begin with http://".to_owned()),
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or("names no host")?;
        let port = uri.port_u16().unwrap_or(80);
        Ok(Collector {
            authority: format!("{host}:{port}"),
            path: format!("{}/v1/traces", uri.path().trim_end_matches('/')),
            headers: Vec::new(),
            service_name: String::new(),
        })
    }
}

enum Message {
    Span(Box<Span>),
    Flush(std_mpsc::Sender<()>),
}

/// The queue to the thread, which ends when the queue is dropped.
pub struct Queue {
    sender: Sender<Message>,
    running: AtomicBool,
}

pub struct Exporter {
    collector: Collector,
    messages: Receiver<Message>,
    sent: IntCounter,
    dropped: IntCounterVec,
    is_failing: bool,
}

impl Queue {
    pub fn new(
        collector: Collector,
        sent: IntCounter,
        dropped: IntCounterVec,
    ) -> (Queue, Exporter) {
        let (sender, messages) = mpsc::channel(QUEUE_SPANS_MAX);
        let exporter = Exporter {
            collector,
            messages,
            sent,
            dropped,
            is_failing: false,
        };
        let running = AtomicBool::new(false);
        (Queue { sender, running }, exporter)
    }

    /// False when the queue is full and the span is lost.
    pub fn push(&self, span: Span) -> bool {
        self.sender.try_send(Message::Span(Box::new(span))).is_ok()
    }

    pub fn started(&self) {
        self.running.store(true, Ordering::Release);
    }

    /// Waits briefly until the queued spans have been sent.
    pub fn flush(&self) {
        if !self.running.load(Ordering::Acquire) {
            return;
        }
        let (done, flushed) = std_mpsc::channel();
        // No wait for a full queue: the collector does not keep up.
        if self.sender.try_send(Message::Flush(done)).is_ok() {
            let _ = flushed.recv_timeout(FLUSH_MAX);
        }
    }
}

impl Exporter {
    /// Runs until the queue is dropped.
    pub fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(async { while self.batch().await {} }),
            Err(error) => log::error!("otlp: no spans are sent: {error}"),
        }
    }

    /// Gathers spans and sends them; false once the queue is dropped.
    async fn batch(&mut self) -> bool {
        let mut spans = Vec::new();
        let mut waits = Vec::new();
        let mut goes_on = true;
        let mut deadline = None;
        while spans.len() < BATCH_SPANS_MAX && waits.is_empty() {
            let message = match deadline {
                None => self.messages.recv().await,
                Some(deadline) => match timeout_at(deadline, self.messages.recv()).await {
                    Ok(message) => message,
                    Err(_) => break,
                },
            };
            match message {
                Some(Message::Span(span)) => {
                    deadline.get_or_insert_with(|| Instant::now() + GATHERED_FOR);
                    spans.push(*span);
                }
                Some(Message::Flush(done)) => waits.push(done),
                None => {
                    goes_on = false;
                    break;
                }
            }
        }
        if !spans.is_empty() {
            self.send(&spans).await;
        }
        for done in waits {
            let _ = done.send(());
        }
        goes_on
    }

    async fn send(&mut self, spans: &[Span]) {
        let body = Bytes::from(request(&self.collector.service_name, spans));
        let mut pause = RETRY_AFTER;
        for attempt in 1..=ATTEMPTS {
            let (why, again) = match timeout(ANSWER_WITHIN, self.post(body.clone())).await {
                Ok(Ok(refused)) => {
                    let refused = refused.min(spans.len() as u64);
                    self.sent.inc_by(spans.len() as u64 - refused);
                    self.dropped.with_label_values(&["failed"]).inc_by(refused);
                    if std::mem::take(&mut self.is_failing) {
                        log::info!("otlp: the collector accepts spans again");
                    }
                    return;
                }
                Ok(Err(failure)) => failure,
                Err(_) => (format!("no answer within {}", Human(ANSWER_WITHIN)), true),
            };
            if !again || attempt == ATTEMPTS {
                self.dropped
                    .with_label_values(&["failed"])
                    .inc_by(spans.len() as u64);
                // Logged once, and not for each batch.
                if !std::mem::replace(&mut self.is_failing, true) {
                    let at = &self.collector.authority;
                    log::warn!("otlp: the collector at {at} does not accept spans: {why}");
                }
                return;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// The number of spans that the collector refused; or the reason why it accepted none, and
    /// whether a retry makes sense.
    async fn post(&self, body: Bytes) -> Result<u64, (String, bool)> {
        let later = |error: &dyn std::fmt::Display| (error.to_string(), true);
        let Collector {
            authority,
            path,
            headers,
            ..
        } = &self.collector;
        let stream = TcpStream::connect(authority).await;
        let stream = stream.map_err(|error| later(&error))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| later(&error))?;
        let connection = tokio::spawn(connection);
        let mut post = hyper::Request::post(path)
            .header("host", authority)
            .header("content-type", "application/json");
        for (name, value) in headers {
            post = post.header(name, value);
        }
        let post = post.body(Full::new(body));
        let post = post.map_err(|error| (error.to_string(), false))?;
        let answer = sender.send_request(post).await;
        let answer = answer.map_err(|error| later(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map(|body| body.to_bytes());
        connection.abort();
        if !status.is_success() {
            let again = [429, 502, 503, 504].contains(&status.as_u16());
            return Err((format!("answered {status}"), again));
        }
        // 64-bit numbers are text in protobuf's JSON, but some collectors write numbers.
        let answer: serde_json::Value =
            serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default();
        let refused = &answer["partialSuccess"]["rejectedSpans"];
        let refused = refused.as_u64().or_else(|| refused.as_str()?.parse().ok());
        Ok(refused.unwrap_or(0))
    }
}
