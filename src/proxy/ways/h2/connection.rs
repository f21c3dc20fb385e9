//! A client's connection with many requests at once.
//!
//! Each stream is a future in the connection's own task: no request crosses threads, and their end
//! is the connection's.
//!
//! ```text
//! poll: streams --> frames are written, new streams come --> streams … --> flush
//! ```

use super::bell::{Bell, Task};
use super::calm::Calm;
use super::request::Ended;
use super::stream::Shared;
use crate::proxy::door::{Alarm, Guarded, Phase};
use crate::proxy::edge::Edge;
use crate::proxy::hygiene::Limits;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use pingora::protocols::GetSocketDigest;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Requests at once on one connection.
const STREAMS_MAX: u32 = 100;
/// Bytes of one request's body that replicas have not taken yet.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
/// The same of all requests of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes of one answer that the client's window has room for and its connection has not.
const SEND_BUFFER_BYTES: usize = 32 << 10;
/// HTTP/2 counts so much for a header beside its name and value.
const HEADER_OVERHEAD_BYTES: u64 = 32;
/// Time for a client to close a connection that it was told to leave, once nothing is on it: a
/// round trip, with a margin.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);

/// Rounds of streams and connection in one turn of the task.
const ROUNDS_MAX: usize = 4;

/// Serves a client for as long as it is connected. `ahead` came already, the preface first.
pub async fn serve(edge: &Edge, mut stream: Box<Guarded>, ahead: BytesMut) {
    let shared = Shared {
        connection: Arc::clone(stream.connection()),
        socket: stream.get_socket_digest(),
    };
    shared.connection.enter(Phase::Streams);
    stream.lend(ahead);
    let settings = edge.settings.load_full();
    let handshake = builder(&settings.limits).handshake(stream);
    let connection = match timeout(settings.bounds.header_timeout, handshake).await {
        Ok(Ok(connection)) => connection,
        _ => return,
    };
    let task = Arc::new(Task::default());
    let begin = |request, respond| edge.stream(&shared, request, respond);
    let (streams_bell, connection_bell) = (task.bell(), task.bell());
    let of_streams = Waker::from(Arc::clone(&streams_bell));
    let of_connection = Waker::from(Arc::clone(&connection_bell));
    let mut all = Streams {
        connection,
        streams: FuturesUnordered::new(),
        begin,
        of_streams: streams_bell,
        of_connection: connection_bell,
        calm: Calm::new(Instant::now()),
        keepalive: settings.keepalive_timeout,
        idle_since: None,
        alarm: Alarm::default(),
        is_leaving: false,
    };
    drop(settings);
    let mut ending = pin!(edge.in_flight.ending());
    let mut listens = false;
    poll_fn(|cx| {
        // The flag says the same; this sees to it that the task is woken. Polled once, because a
        // client that comes while the process ends finds it ready.
        if !listens {
            listens = true;
            let _ = ending.as_mut().poll(cx);
        }
        if edge.in_flight.ends_connections() {
            all.leave();
        }
        shared.connection.gather();
        task.begin(cx.waker());
        let mut polled = all.poll([&of_streams, &of_connection]);
        if shared.connection.gathered() && polled.is_pending() {
            polled = all.poll_written(&of_connection);
        }
        task.end();
        if polled.is_pending() && all.is_rung() {
            cx.waker().wake_by_ref();
        }
        polled
    })
    .await;
    // Requests that a replica works on whether the client is there or not.
    while all.streams.next().await.is_some() {}
}

fn builder(limits: &Limits) -> Builder {
    let headers = limits.headers as u64 * HEADER_OVERHEAD_BYTES;
    let head_max = u32::try_from(limits.header_bytes + headers).unwrap_or(u32::MAX);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(head_max)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .enable_connect_protocol();
    builder
}

struct Streams<F, B> {
    connection: Connection<Box<Guarded>, Bytes>,
    streams: FuturesUnordered<F>,
    begin: B,
    /// Rings when a stream can go on.
    of_streams: Arc<Bell>,
    /// Rings when the connection can.
    of_connection: Arc<Bell>,
    calm: Calm,
    keepalive: Duration,
    /// Since when nothing is on it.
    idle_since: Option<Instant>,
    alarm: Alarm,
    /// The client was told to leave.
    is_leaving: bool,
}

impl<F, B> Streams<F, B>
where
    F: Future<Output = Ended>,
    B: Fn(Request<RecvStream>, SendResponse<Bytes>) -> F,
{
    /// Moves all streams on. Ready when the connection is over.
    fn poll(&mut self, [streams, connection]: [&Waker; 2]) -> Poll<()> {
        let mut streams = Context::from_waker(streams);
        let mut connection = Context::from_waker(connection);
        for _ in 0..ROUNDS_MAX {
            if self.of_streams.take() {
                self.poll_streams(&mut streams);
            }
            // The frames of these streams are written next, so their ringing for it is heard.
            self.of_connection.take();
            if self.poll_connection(&mut connection).is_ready() {
                return Poll::Ready(());
            }
            if !self.is_rung() {
                if self.poll_idle(&mut connection).is_pending() {
                    return Poll::Pending;
                }
                if self.is_leaving {
                    return Poll::Ready(());
                }
                self.leave();
            }
        }
        Poll::Pending
    }

    fn poll_streams(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(ended)) = self.streams.poll_next_unpin(cx) {
            if ended == Ended::Reset && !self.calm.bears_one(Instant::now()) {
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
    }

    /// Writes frames, and reads those that have come. Ready when the connection is over.
    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.connection.poll_accept(cx)) {
                Some(Ok((request, respond))) => {
                    self.streams.push((self.begin)(request, respond));
                    self.of_streams.ring();
                    self.idle_since = None;
                }
                Some(Err(error)) => {
                    log::debug!("a connection with streams broke: {error}");
                    return Poll::Ready(());
                }
                None => return Poll::Ready(()),
            }
        }
    }

    /// Whether something is due.
    fn is_rung(&self) -> bool {
        self.of_streams.is_rung() || self.of_connection.is_rung()
    }

    /// Waits until nothing was on the connection for as long as it may idle.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // An answer may be written when its request is over.
        if !self.streams.is_empty() || self.connection.has_streams() {
            self.idle_since = None;
            return Poll::Pending;
        }
        let since = *self.idle_since.get_or_insert_with(Instant::now);
        let within = match self.is_leaving {
            true => self.keepalive.min(LEAVES_WITHIN),
            false => self.keepalive,
        };
        self.alarm.poll(cx, since + within)
    }

    /// Tells the client that no more requests are served here; those under way are.
    fn leave(&mut self) {
        if !self.is_leaving {
            self.is_leaving = true;
            self.idle_since = None;
            self.connection.graceful_shutdown();
            self.of_connection.ring();
        }
    }

    /// Writes what was gathered.
    fn poll_written(&mut self, waker: &Waker) -> Poll<()> {
        let mut cx = Context::from_waker(waker);
        self.connection.poll_closed(&mut cx).map(drop)
    }
}
