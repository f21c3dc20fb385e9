//! Bytes both ways between a client and a replica, each way at its own pace.
//!
//! The client's side may be Pingora's session, which can be borrowed once only; so nothing is held
//! across a wait: each poll makes the futures of both ways anew, and those that it uses may be
//! dropped half-way without losing a byte.

use bytes::{Buf, Bytes, BytesMut};
use pingora::protocols::Stream;
use pingora::protocols::http::{HttpTask, ServerSession};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

/// How much is read from a replica at once.
const PIECE_BYTES: usize = 16 << 10;
/// When one side has closed, the other one is expected to follow and may be silent this long.
const HALF_CLOSED_IDLE: Duration = Duration::from_secs(10);

pub struct Pipe<C> {
    client: C,
    replica: Replica,
    up: Way,
    down: Way,
    /// Which way goes first takes turns, because both share what one poll may do.
    up_first: bool,
    idle: Duration,
    moved_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<'a> Pipe<Client<'a>> {
    /// `early` is what the replica sent behind its 101.
    pub fn new(
        session: &'a mut ServerSession,
        replica: Stream,
        early: Bytes,
        idle: Duration,
    ) -> Pipe<Client<'a>> {
        session.set_read_timeout(None);
        session.set_write_timeout(None);
        Pipe::between(Client(session), replica, early, idle)
    }
}

impl<C: End> Pipe<C> {
    /// The same with a client of any kind.
    pub fn between(client: C, replica: Stream, early: Bytes, idle: Duration) -> Pipe<C> {
        let now = Instant::now();
        Pipe {
            client,
            replica: Replica {
                stream: replica,
                buffer: BytesMut::new(),
            },
            up: Way::default(),
            down: Way::with(early),
            up_first: false,
            idle,
            moved_at: now,
            timer: Box::pin(sleep_until(now + idle)),
        }
    }

    /// Returns when both sides have closed, or says why it stopped before.
    pub async fn run(&mut self) -> Result<(), String> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Bytes that the replica got.
    pub fn bytes_up(&self) -> u64 {
        self.up.bytes
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let before = self.progress();
        let mut over = [false; 2];
        for up in [self.up_first, !self.up_first] {
            let polled = if up {
                self.up.poll(cx, &mut self.client, &mut self.replica)
            } else {
                self.down.poll(cx, &mut self.replica, &mut self.client)
            };
            if let Poll::Ready(Err(error)) = polled {
                return Poll::Ready(Err(error));
            }
            over[usize::from(up)] = polled.is_ready();
        }
        self.up_first = !self.up_first;
        if over == [true; 2] {
            return Poll::Ready(Ok(()));
        }
        if self.progress() != before {
            self.moved_at = Instant::now();
        }
        self.poll_silence(cx)
    }

    /// Changes whenever something passes through.
    fn progress(&self) -> (u64, u64, [bool; 2]) {
        let open = [self.up.is_open(), self.down.is_open()];
        (self.up.bytes, self.down.bytes, open)
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let allowed = if self.up.is_open() && self.down.is_open() {
            self.idle
        } else {
            self.idle.min(HALF_CLOSED_IDLE)
        };
        let due = self.moved_at + allowed;
        if due < self.timer.deadline() {
            self.timer.as_mut().reset(due);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                let silence = humantime::format_duration(allowed);
                return Poll::Ready(Err(format!("nothing passed for {silence}")));
            }
            // Later than when the timer was set; setting it at each piece would cost more.
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

/// One of the two ways.
#[derive(Default)]
struct Way {
    state: State,
    /// Read and not written yet.
    piece: Bytes,
    under_way: u64,
    bytes: u64,
}

#[derive(Default, PartialEq)]
enum State {
    #[default]
    Open,
    /// Read and dropped, because closing a connection with bytes unread resets it, and the other
    /// way may have its last words on it.
    Discarding,
    Closing,
    Over,
}

impl Way {
    fn with(piece: Bytes) -> Way {
        Way {
            under_way: piece.len() as u64,
            piece,
            ..Way::default()
        }
    }

    fn is_open(&self) -> bool {
        self.state == State::Open
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl End,
        to: &mut impl End,
    ) -> Poll<Result<(), String>> {
        loop {
            match self.state {
                State::Open if self.under_way > 0 => {
                    if ready!(to.poll_write(cx, &mut self.piece)).is_ok() {
                        self.bytes += self.under_way;
                    } else {
                        self.piece = Bytes::new();
                        self.state = State::Discarding;
                    }
                    self.under_way = 0;
                }
                State::Open => match ready!(from.poll_read(cx))? {
                    Some(piece) => {
                        self.under_way = piece.len() as u64;
                        self.piece = piece;
                    }
                    None => self.state = State::Closing,
                },
                State::Discarding => {
                    if ready!(from.poll_read(cx))?.is_none() {
                        self.state = State::Over;
                    }
                }
                State::Closing => {
                    ready!(to.poll_close(cx));
                    self.state = State::Over;
                }
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// One of the two sides.
pub trait End: Send {
    /// The next piece, never an empty one; `None` when that side has closed.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, String>>;

    /// Takes the whole of `piece` and sends it off.
    fn poll_write(&mut self, cx: &mut Context<'_>, piece: &mut Bytes) -> Poll<Result<(), ()>>;

    /// Says that no more comes. If that fails, the next read tells why.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

pub struct Client<'a>(&'a mut ServerSession);

impl End for Client<'_> {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, String>> {
        let read = pin!(self.0.read_request_body());
        read.poll(cx)
            .map_err(|error| format!("the client's connection broke: {error}"))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, piece: &mut Bytes) -> Poll<Result<(), ()>> {
        if !piece.is_empty() {
            let piece = std::mem::take(piece);
            let task = HttpTask::UpgradedBody(Some(piece), false);
            self.0.send_downstream_proxy_task(task);
        }
        let write = pin!(self.0.write_downstream_proxy_tasks());
        write
            .poll(cx)
            .map(|written| written.map(drop).map_err(drop))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Of the sending half only.
        pin!(self.0.shutdown()).poll(cx)
    }
}

struct Replica {
    stream: Stream,
    buffer: BytesMut,
}

impl End for Replica {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, String>> {
        self.buffer.reserve(PIECE_BYTES);
        let read = pin!(self.stream.read_buf(&mut self.buffer));
        match ready!(read.poll(cx)) {
            Ok(0) => Poll::Ready(Ok(None)),
            Ok(_) => Poll::Ready(Ok(Some(self.buffer.split().freeze()))),
            // The replica closed with bytes of the client's unread. All that it sent was read
            // before that, and must not be lost on the last stretch.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Poll::Ready(Ok(None)),
            Err(error) => Poll::Ready(Err(format!("the replica's connection broke: {error}"))),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, piece: &mut Bytes) -> Poll<Result<(), ()>> {
        while !piece.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(cx, piece);
            match ready!(written) {
                Ok(0) | Err(_) => return Poll::Ready(Err(())),
                Ok(count) => piece.advance(count),
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx).map_err(drop)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.stream).poll_shutdown(cx).map(drop)
    }
}

#[cfg(test)]
#[path = "pipe_tests.rs"]
mod tests;
