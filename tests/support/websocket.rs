//! A program behind the edge that talks WebSocket, and a client for it. Both show their bytes.

use futures_util::{SinkExt, StreamExt};
use http::{Request, Response};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::Response as Handshake;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

/// The example of RFC 6455, so that an answer can be written before the question is read.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// How much `/flood` sends, and how much it wants.
pub const FLOOD_BYTES: usize = 8 << 20;

pub type Socket = WebSocketStream<TcpStream>;

pub struct Chat {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    server: JoinHandle<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Reads the question first.
    Patient,
    /// The 101 is on its way before the question has come.
    Hasty,
}

impl Chat {
    pub async fn start() -> Chat {
        Chat::serve(Manner::Patient).await
    }

    pub async fn start_hasty() -> Chat {
        Chat::serve(Manner::Hasty).await
    }

    async fn serve(manner: Manner) -> Chat {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let all = Arc::clone(&seen);
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(converse(stream, manner, Arc::clone(&all)));
            }
        });
        Chat {
            address,
            seen,
            server,
        }
    }

    /// The beginning of each connection, and the result of `/tell`.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Refuses every connection from now on.
    pub async fn stop(self) {
        self.server.abort();
        let _ = self.server.await;
    }
}

async fn converse(
    mut stream: TcpStream,
    manner: Manner,
    seen: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let see = |what: String| seen.lock().expect("no panic").push(what);
    if manner == Manner::Hasty {
        stream.write_all(SWITCHED).await.ok()?;
    }
    let (head, rest) = head(&mut stream).await?;
    see(head.clone());
    if manner == Manner::Hasty {
        return echo(stream, rest).await;
    }
    let path = head.split(' ').nth(1)?;
    match path.split('?').next()? {
        "/refused" => {
            let refusal = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 10\r\n\r\nnot today\n";
            stream.write_all(refusal).await.ok()?;
        }
        "/refused-until-close" => {
            stream
                .write_all(b"HTTP/1.0 401 No\r\n\r\nwho are you")
                .await
                .ok()?;
            return Some(());
        }
        "/wrong" => {
            let wrong = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n";
            stream.write_all(wrong).await.ok()?;
        }
        "/broken" => stream.write_all(b"good morning\r\n\r\n").await.ok()?,
        "/gone" => return Some(()),
        "/silent" => {}
        "/slow" => {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            stream.write_all(SWITCHED).await.ok()?;
            return repeat(stream, rest).await;
        }
        "/eager" => {
            // Together in one packet, as far as anybody can ask for that.
            let both = [SWITCHED, b"hello"].concat();
            stream.write_all(&both).await.ok()?;
            return repeat(stream, rest).await;
        }
        "/raw" => {
            stream.write_all(SWITCHED).await.ok()?;
            return repeat(stream, rest).await;
        }
        "/flood" => {
            stream.write_all(SWITCHED).await.ok()?;
            let (mut read, mut write) = stream.split();
            let sent = pattern(FLOOD_BYTES);
            let (written, got) = tokio::join!(write.write_all(&sent), async {
                let mut got = vec![0; FLOOD_BYTES];
                read.read_exact(&mut got).await.map(|_| got)
            });
            written.ok()?;
            let intact = got.is_ok_and(|got| got == sent);
            write
                .write_all(if intact { b"intact" } else { b"broken" })
                .await
                .ok()?;
            return Some(());
        }
        "/last-words" => {
            // Closes with something of the client's unread.
            let mut all = SWITCHED.to_vec();
            all.extend(pattern(1 << 16));
            stream.write_all(&all).await.ok()?;
            // Closing throws away what the kernel has not sent off yet, and nothing tells when it
            // has.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            return Some(());
        }
        "/tell" => {
            stream.write_all(SWITCHED).await.ok()?;
            let mut rest = Vec::new();
            let ended = stream.read_to_end(&mut rest).await;
            see(format!("ended {}", ended.is_ok()));
        }
        "/leave" => {
            stream.write_all(SWITCHED).await.ok()?;
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            let close = CloseFrame {
                code: CloseCode::Away,
                reason: "moving on".into(),
            };
            socket.close(Some(close)).await.ok()?;
            while socket.next().await.is_some_and(|read| read.is_ok()) {}
            return Some(());
        }
        _ => {
            stream.write_all(SWITCHED).await.ok()?;
            return echo(stream, rest).await;
        }
    }
    let mut more = rest;
    let _ = stream.read_to_end(&mut more).await;
    see(format!("then {}", String::from_utf8_lossy(&more)));
    Some(())
}

/// The head of a request, and what came with it.
async fn head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = read.split_off(end + 4);
            return Some((String::from_utf8(read).ok()?, rest));
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
}

/// Sends every message back.
async fn echo(stream: TcpStream, read: Vec<u8>) -> Option<()> {
    let role = Role::Server;
    let mut socket = WebSocketStream::from_partially_read(stream, read, role, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.ok()?;
        }
    }
    Some(())
}

/// Sends every byte back, and a last word when the other side has closed its half.
async fn repeat(mut stream: TcpStream, mut piece: Vec<u8>) -> Option<()> {
    loop {
        stream.write_all(&piece).await.ok()?;
        piece.clear();
        if stream.read_buf(&mut piece).await.ok()? == 0 {
            return stream.write_all(b"bye").await.ok();
        }
    }
}

/// Bytes that show what is missing, doubled or in the wrong place.
pub fn pattern(count: usize) -> Vec<u8> {
    let words = (0..count.div_ceil(4) as u32).flat_map(u32::to_be_bytes);
    words.take(count).collect()
}

pub fn request(address: SocketAddr, path: &str) -> Request<()> {
    Request::get(format!("ws://{address}{path}"))
        .header("host", address.to_string())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", KEY)
        .body(())
        .expect("a request")
}

/// The same as bytes.
pub fn question(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\r\n"
    )
    .into_bytes()
}

pub async fn open(address: SocketAddr, path: &str) -> Result<(Socket, Handshake), Error> {
    let stream = TcpStream::connect(address).await?;
    tokio_tungstenite::client_async(request(address, path), stream).await
}

/// Opens a tunnel that must be granted.
pub async fn connect(address: SocketAddr, path: &str) -> Socket {
    open(address, path).await.expect("a tunnel").0
}

/// The answer to a request that must not be granted.
pub async fn refused(address: SocketAddr, path: &str) -> Response<Option<Vec<u8>>> {
    match open(address, path).await {
        Err(Error::Http(answer)) => *answer,
        Err(error) => panic!("{error}"),
        Ok((_, answer)) => panic!("granted: {answer:?}"),
    }
}

/// Sends a message and waits for it to come back.
pub async fn says_it_back(socket: &mut Socket, message: impl Into<Message>) -> Result<(), String> {
    let message = message.into();
    let sent = socket.send(message.clone()).await;
    sent.map_err(|error| format!("sending: {error}"))?;
    match socket.next().await {
        Some(Ok(back)) if back == message => Ok(()),
        Some(Ok(other)) => Err(format!("got {} bytes instead", other.len())),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("closed".to_owned()),
    }
}

/// Sends `bytes` and waits for the head of the answer; the rest is for the test to read.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> (TcpStream, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    let (head, rest) = head(&mut stream).await.expect("an answer");
    (stream, head, rest)
}
