//! Those who mean no good. Each opens its connection again when it is cut.

use clap::ValueEnum;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// They all come from here, and the client from elsewhere.
const FROM: ([u8; 4], u16) = ([127, 0, 0, 66], 0);
/// Between two of them at the beginning, so that the listen queue is not what is measured.
const STEP: Duration = Duration::from_millis(1);
/// Before one that was cut comes again.
const AGAIN: Duration = Duration::from_millis(250);
const DRIP: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Kind {
    /// A head, a byte a second
    HeaderDrip,
    /// A body that stops after its first bytes
    BodyStall,
    /// A body, a byte a second
    BodyDrip,
    /// A large answer that is not read
    NoRead,
    /// Nothing at all
    Silent,
    /// Nothing after an answer
    Idle,
    /// Requests without a reading, as fast as they are refused
    Malformed,
    /// Four times as many that say nothing
    Flood,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::HeaderDrip,
        Kind::BodyStall,
        Kind::BodyDrip,
        Kind::NoRead,
        Kind::Silent,
        Kind::Idle,
        Kind::Malformed,
        Kind::Flood,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::HeaderDrip => "header drip",
            Kind::BodyStall => "body stall",
            Kind::BodyDrip => "body drip",
            Kind::NoRead => "no read",
            Kind::Silent => "silent",
            Kind::Idle => "idle",
            Kind::Malformed => "malformed",
            Kind::Flood => "flood",
        }
    }
}

const MALFORMED: [&str; 8] = [
    "nonsense\r\n\r\n",
    "GET /a/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
];

#[derive(Default)]
struct Counts {
    opened: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    over: AtomicBool,
}

pub struct Army {
    counts: Arc<Counts>,
    members: JoinSet<()>,
}

/// Result of the attackers.
pub struct Fate {
    pub opened: u64,
    /// Closed at once, or with a 4xx or 503.
    pub refused: u64,
    /// Closed later.
    pub cut: u64,
}

pub fn start(kind: Kind, edge: SocketAddr, count: usize) -> Army {
    let counts = Arc::new(Counts::default());
    let mut members = JoinSet::new();
    let (count, pause) = match kind {
        // A few that are fast do what many do that wait.
        Kind::Malformed => (count / 40, Duration::from_millis(20)),
        Kind::Flood => (count * 4, AGAIN * 4),
        _ => (count, AGAIN),
    };
    for number in 0..count {
        let counts = Arc::clone(&counts);
        members.spawn(async move {
            sleep(STEP * number as u32).await;
            while !counts.over.load(Ordering::Relaxed) {
                one(kind, edge, number, &counts).await;
                sleep(pause).await;
            }
        });
    }
    Army { counts, members }
}

impl Army {
    pub async fn stop(mut self) -> Fate {
        self.counts.over.store(true, Ordering::Relaxed);
        self.members.shutdown().await;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Fate {
            opened: get(&self.counts.opened),
            refused: get(&self.counts.refused),
            cut: get(&self.counts.cut),
        }
    }
}

/// One connection, until it is cut.
async fn one(kind: Kind, edge: SocketAddr, number: usize, counts: &Counts) {
    let Ok(mut stream) = connect(kind, edge).await else {
        counts.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    counts.opened.fetch_add(1, Ordering::Relaxed);
    let start = match kind {
        Kind::HeaderDrip => "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
        Kind::BodyStall | Kind::BodyDrip => {
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhello"
        }
        Kind::NoRead => "GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
        Kind::Idle => "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        Kind::Silent | Kind::Flood => "",
        Kind::Malformed => MALFORMED[number % MALFORMED.len()],
    };
    let _ = stream.write_all(start.as_bytes()).await;
    let is_refused = match kind {
        Kind::NoRead => {
            // To read would be to give in; that it was closed shows in the end only.
            while stream.writable().await.is_ok() && stream.take_error().ok().flatten().is_none() {
                if stream.try_write(b"").is_err() {
                    break;
                }
                sleep(DRIP).await;
            }
            false
        }
        Kind::HeaderDrip | Kind::BodyDrip => {
            let (mut reader, mut writer) = stream.split();
            let drip = async {
                while writer.write_all(b"x").await.is_ok() {
                    sleep(DRIP).await;
                }
            };
            tokio::select! {
                () = drip => false,
                refused = rest(&mut reader) => refused,
            }
        }
        _ => rest(&mut stream).await,
    };
    let count = if is_refused {
        &counts.refused
    } else {
        &counts.cut
    };
    count.fetch_add(1, Ordering::Relaxed);
}

async fn connect(kind: Kind, edge: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(FROM.into())?;
    if kind == Kind::NoRead {
        socket.set_recv_buffer_size(4 << 10)?;
    }
    timeout(Duration::from_secs(10), socket.connect(edge)).await?
}

/// Reads to the end; whether the first thing was a refusal.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> bool {
    let mut buffer = [0; 512];
    let mut is_refused = None;
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return is_refused.unwrap_or(false),
            Ok(count) => {
                let code = buffer[..count].get(9..12).unwrap_or_default();
                let is = matches!(code, b"400" | b"405" | b"408" | b"429" | b"431" | b"503");
                is_refused.get_or_insert(is);
            }
        }
    }
}
