//! Floods of frames without end cost an HTTP/2 client its connection, and nobody else anything.

use crate::support::edge::Edge;
use crate::support::h2::Client;
use crate::support::upstream::Upstream;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long each flood goes on, if it may.
const LASTS: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 4;
const GROWS_MAX: u64 = 60 << 20;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const UNKNOWN: u8 = 33;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Fields of a request in HPACK's static table, a path and the host.
fn head(method: u8, path: &str) -> Vec<u8> {
    let mut head = vec![method, 0x86, 0x04, path.len() as u8];
    head.extend(path.as_bytes());
    head.extend(b"\x01\x03web");
    head
}

const GET: u8 = 0x82;
const POST: u8 = 0x83;

/// Frames of one turn of a flood, by its number.
type Turn = fn(u32) -> Vec<u8>;

fn stream(turn: u32) -> u32 {
    2 * turn + 1
}

fn get(turn: u32, path: &str) -> Vec<u8> {
    let flags = END_HEADERS | END_STREAM;
    frame(HEADERS, flags, stream(turn), &head(GET, path))
}

/// A first turn that opens a stream, and then frames on it.
fn on_one_stream(turn: u32, kind: u8, payload: &[u8]) -> Vec<u8> {
    match turn {
        0 => frame(HEADERS, END_HEADERS, 1, &head(POST, "/x")),
        _ => frame(kind, 0, 1, payload),
    }
}

const FLOODS: [(&str, Turn); 19] = [
    ("rapid resets", |turn| {
        let cancel = 8_u32.to_be_bytes();
        [
            get(turn, "/held"),
            frame(RST_STREAM, 0, stream(turn), &cancel),
        ]
        .concat()
    }),
    ("streams that have us reset them", |turn| {
        let nothing = 0_u32.to_be_bytes();
        [
            get(turn, "/held"),
            frame(WINDOW_UPDATE, 0, stream(turn), &nothing),
        ]
        .concat()
    }),
    ("more streams than there may be", |turn| get(turn, "/held")),
    ("heads without end", |turn| match turn {
        0 => frame(HEADERS, 0, 1, &head(GET, "/x")),
        _ => frame(
            CONTINUATION,
            0,
            1,
            &[0x00, 0x01, b'a', 0x01, b'b'].repeat(100),
        ),
    }),
    ("empty continuations", |turn| match turn {
        0 => frame(HEADERS, 0, 1, &head(GET, "/x")),
        _ => frame(CONTINUATION, 0, 1, &[]),
    }),
    ("heads that unfold", |turn| {
        // A long field goes into the table once, and is named a thousand times.
        let mut block = head(GET, "/x");
        block.extend([0x40, 0x01, b'a', 0x7f, 0x81, 0x1e]);
        block.extend([b'b'; 4_000]);
        block.extend([0xbe; 10_000]);
        frame(HEADERS, END_HEADERS | END_STREAM, stream(turn), &block)
    }),
    ("large heads", |turn| {
        let mut block = head(GET, "/x");
        for _ in 0..3 {
            block.extend([0x00, 0x01, b'a', 0x7f, 0x81, 0x1e]);
            block.extend([b'b'; 4_000]);
        }
        frame(HEADERS, END_HEADERS | END_STREAM, stream(turn), &block)
    }),
    ("settings", |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
    ("sizes of tables", |turn| {
        let size = [0, 1, 0, 0, 0x10 * (turn % 2) as u8, 0];
        frame(SETTINGS, 0, 0, &size)
    }),
    ("sizes of windows", |turn| {
        let size = [0, 4, 0, (turn % 2) as u8, 0, 0];
        let settings = frame(SETTINGS, 0, 0, &size);
        match turn {
            0..100 => [get(turn, "/big"), settings].concat(),
            _ => settings,
        }
    }),
    ("pings", |_| frame(PING, 0, 0, &[7; 8])),
    ("pieces of nothing", |turn| on_one_stream(turn, DATA, &[])),
    ("pieces of one byte", |turn| on_one_stream(turn, DATA, b"x")),
    ("bodies on streams that are over", |turn| match turn {
        0 => get(0, "/x"),
        _ => frame(DATA, 0, 1, &[b'x'; 1_000]),
    }),
    ("answers that are not read", |turn| {
        let nothing = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
        match turn {
            0..100 => [nothing, get(turn, "/big")].concat(),
            _ => frame(PING, 0, 0, &[7; 8]),
        }
    }),
    ("priorities", |turn| {
        frame(PRIORITY, 0, stream(turn), &[0, 0, 0, 0, 7])
    }),
    ("room", |turn| match turn {
        0 => get(0, "/held"),
        _ => frame(WINDOW_UPDATE, 0, turn % 2, &1_u32.to_be_bytes()),
    }),
    ("frames that nobody knows", |_| {
        frame(UNKNOWN, 0, 0, &[b'x'; 16 << 10])
    }),
    ("goodbyes", |_| frame(GOAWAY, 0, 0, &[0; 8])),
];

/// Floods until time is up or the connection ends, reading what comes or leaving it.
async fn flood(edge: SocketAddr, turn: Turn, reads: bool) {
    let mut stream = TcpStream::connect(edge).await.expect("connected");
    let (mut read, mut write) = stream.split();
    let writing = async {
        write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        write.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        let mut number = 0;
        loop {
            let frames: Vec<u8> = (number..number + 100).flat_map(turn).collect();
            write.write_all(&frames).await?;
            number += 100;
        }
        #[allow(unreachable_code, reason = "the type of the block")]
        std::io::Result::Ok(())
    };
    let reading = async {
        match reads {
            true => drop(copy(&mut read, &mut sink()).await),
            false => std::future::pending().await,
        }
    };
    let both = async {
        tokio::select! {
            _ = writing => {}
            () = reading => {}
        }
    };
    let _ = timeout(LASTS, both).await;
}

/// Bytes of memory that a process has.
fn memory(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("it runs");
    let pages: u64 = text
        .split(' ')
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    pages * 4096
}

#[tokio::test]
async fn no_flood_hurts_anybody_but_the_client_it_comes_from() {
    let web = Upstream::start("A").await;
    let edge = Edge::start(&format!(
        "services:\n  web:\n    addresses: [\"{}\"]\n    \
         healthcheck: {{ type: tcp, interval: 60s }}\n",
        web.address
    ))
    .await;
    edge.ready().await;
    let good = Client::connect(edge.address).await;
    let mut before = 0;
    for (name, turn) in FLOODS {
        for reads in [true, false] {
            let floods: Vec<_> = (0..CONNECTIONS)
                .map(|_| tokio::spawn(flood(edge.address, turn, reads)))
                .collect();
            let until = Instant::now() + LASTS / 2;
            let mut asked = 0;
            while Instant::now() < until || asked < 10 {
                let answer = timeout(Duration::from_secs(30), good.get("/x")).await;
                let answer = answer.unwrap_or_else(|_| panic!("{name}: no answer in time"));
                let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(answer.status, 200, "{name}");
                asked += 1;
            }
            let now = memory(edge.pid());
            if before == 0 {
                before = now;
            }
            let grown = now.saturating_sub(before) >> 20;
            eprintln!("{name}, read {reads}: {asked} answers, {grown} MiB more");
            assert!(now <= before + GROWS_MAX, "{name}: {grown} MiB more");
            for flood in floods {
                let _ = flood.await;
            }
        }
    }
    // A connection that says nothing sensible is no reason to stop either.
    let mut stream = TcpStream::connect(edge.address).await.expect("connected");
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        .await
        .expect("it is open");
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert_eq!(good.get("/x").await.expect("an answer").status, 200);
}
