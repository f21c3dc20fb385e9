//! A replica that speaks HTTP/2, in the clear or above TLS: it says what it was asked, and can be
//! told to refuse, to hold and to leave.

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response, StatusCode};
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub struct H2Replica {
    pub address: SocketAddr,
    pub state: Arc<State>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
pub struct State {
    name: &'static str,
    pub connections: AtomicU32,
    pub requests: AtomicU32,
    /// Streams that it refuses before it takes one again.
    pub refuses: AtomicU32,
    /// Streams that clients have reset.
    pub resets: AtomicU32,
    pub leaves: AtomicBool,
    /// Every answer ends with `UNAVAILABLE`.
    pub fails: AtomicBool,
    leaving: Notify,
    released: Notify,
}

impl H2Replica {
    pub async fn start(name: &'static str) -> H2Replica {
        H2Replica::start_with(name, Builder::new(), None).await
    }

    pub async fn start_with(
        name: &'static str,
        builder: Builder,
        tls: Option<Arc<ServerConfig>>,
    ) -> H2Replica {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            name,
            ..State::default()
        });
        let shared = Arc::clone(&state);
        let listening = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("accepted");
                let (builder, state, tls) = (builder.clone(), Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(builder, stream, state).await,
                        Some(config) => {
                            let shaken = TlsAcceptor::from(config).accept(stream).await;
                            if let Ok(stream) = shaken {
                                serve(builder, stream, state).await;
                            }
                        }
                    }
                });
            }
        });
        H2Replica {
            address,
            state,
            listening,
        }
    }

    /// Says goodbye on each connection, and finishes what it has.
    pub fn leave(&self) {
        self.state.leaves.store(true, Ordering::Relaxed);
        self.state.leaving.notify_waiters();
    }

    /// Lets all requests to `/held` go on.
    pub fn release(&self) {
        self.state.released.notify_waiters();
    }

    /// Refuses connections from now on, and keeps those that it has.
    pub async fn stop_listening(&mut self) {
        self.listening.abort();
        let _ = (&mut self.listening).await;
    }

    pub fn connections(&self) -> u32 {
        self.state.connections.load(Ordering::Relaxed)
    }

    pub fn requests(&self) -> u32 {
        self.state.requests.load(Ordering::Relaxed)
    }

    pub fn resets(&self) -> u32 {
        self.state.resets.load(Ordering::Relaxed)
    }
}

async fn serve<T>(builder: Builder, stream: T, state: Arc<State>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut connection): Result<Connection<T, Bytes>, _> = builder.handshake(stream).await
    else {
        return;
    };
    let mut is_counted = false;
    let mut has_left = false;
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = state.leaving.notified(), if !has_left => {
                has_left = true;
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, mut respond))) = accepted else {
            return;
        };
        // Health checks connect, and ask nothing.
        if !std::mem::replace(&mut is_counted, true) {
            state.connections.fetch_add(1, Ordering::Relaxed);
        }
        let refuses = |count: u32| count.checked_sub(1);
        if (state.refuses)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, refuses)
            .is_ok()
        {
            respond.send_reset(Reason::REFUSED_STREAM);
            continue;
        }
        state.requests.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(answer(request, respond, Arc::clone(&state)));
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    state: Arc<State>,
) -> Option<()> {
    let (head, mut body) = request.into_parts();
    match head.uri.path() {
        "/held" => {
            let reset = std::future::poll_fn(|cx| respond.poll_reset(cx));
            tokio::select! {
                () = state.released.notified() => {}
                _ = reset => {
                    state.resets.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
            }
        }
        "/echo" => return echo(&head, body, respond).await,
        "/breaking" => return break_off(respond, body).await,
        "/failing" => {
            let mut answer = Response::new(());
            *answer.status_mut() = StatusCode::OK;
            let headers = answer.headers_mut();
            headers.insert("content-type", "application/grpc".parse().ok()?);
            headers.insert("grpc-status", "14".parse().ok()?);
            respond.send_response(answer, true).ok()?;
            return Some(());
        }
        _ => {}
    }
    let mut whole = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        whole.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len()).ok()?;
    }
    let behind = body.trailers().await.ok()?.unwrap_or_default();
    let headers = |map: &HeaderMap| -> Vec<(String, String)> {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into();
        map.iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect()
    };
    let told = serde_json::json!({
        "name": state.name,
        "method": head.method.as_str(),
        "uri": head.uri.to_string(),
        "headers": headers(&head.headers),
        "trailers": headers(&behind),
        "body": String::from_utf8_lossy(&whole),
    });
    let mut answer = Response::builder().header("x-replica", state.name);
    if let Some(content_type) = head.headers.get("content-type") {
        answer = answer.header("content-type", content_type);
    }
    if head.method == http::Method::HEAD {
        respond.send_response(answer.body(()).ok()?, true).ok()?;
        return Some(());
    }
    let mut sent = respond.send_response(answer.body(()).ok()?, false).ok()?;
    sent.send_data(told.to_string().into(), false).ok()?;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "7".parse().ok()?);
    let status = match state.fails.load(Ordering::Relaxed) {
        true => "14",
        false => "0",
    };
    trailers.insert("grpc-status", status.parse().ok()?);
    sent.send_trailers(trailers).ok()
}

/// Sends each piece back as it comes.
async fn echo(
    head: &http::request::Parts,
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
) -> Option<()> {
    let mut answer = Response::new(());
    // An answer has no `TE`, and would lose it on its way.
    for (name, as_name) in [("content-type", "content-type"), ("te", "x-te")] {
        if let Some(value) = head.headers.get(name) {
            answer.headers_mut().insert(as_name, value.clone());
        }
    }
    let mut sent = respond.send_response(answer, false).ok()?;
    while let Some(piece) = body.data().await {
        let piece = piece.ok()?;
        body.flow_control().release_capacity(piece.len()).ok()?;
        sent.send_data(piece, false).ok()?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().ok()?);
    sent.send_trailers(trailers).ok()
}

/// Begins a message, and resets the stream once the client has more to say.
async fn break_off(mut respond: SendResponse<Bytes>, mut body: RecvStream) -> Option<()> {
    let answer = Response::builder().header("content-type", "application/grpc");
    let mut sent = respond.send_response(answer.body(()).ok()?, false).ok()?;
    sent.send_data(Bytes::from_static(b"\0\0\0\0\x02hi"), false)
        .ok()?;
    while body
        .data()
        .await
        .is_some_and(|piece| piece.is_ok_and(|piece| piece.is_empty()))
    {}
    sent.send_reset(Reason::INTERNAL_ERROR);
    Some(())
}
