//! One connection of a client to an edge.

use crate::message::Messages;
use memchr::memmem;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// As much as is read of a large answer in one call.
const LARGE_BYTES: usize = 256 << 10;
const HOST: &str = "www.example.com";
const SMALL_BYTES: usize = 8 << 10;

/// The request, sent again and again, and the answer that is expected.
#[derive(Clone)]
pub struct Ask {
    text: Vec<u8>,
    /// `None`: any.
    answer_bytes: Option<usize>,
}

impl Ask {
    /// As a client with few words would ask it.
    fn new(method: &str, path: &str, body_bytes: usize, answer_bytes: Option<usize>) -> Ask {
        Ask::of(HOST, method, path, body_bytes, answer_bytes)
    }

    fn of(
        host: &str,
        method: &str,
        path: &str,
        body_bytes: usize,
        answer_bytes: Option<usize>,
    ) -> Ask {
        let body = match body_bytes {
            0 => String::new(),
            count => format!("Content-Length: {count}\r\nContent-Type: application/json\r\n"),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: compare\r\n\
             Accept: */*\r\n{body}\r\n"
        );
        Ask {
            text: [head.into_bytes(), vec![b'x'; body_bytes]].concat(),
            answer_bytes,
        }
    }

    pub fn small() -> Ask {
        Ask::new("GET", "/", 0, Some(2))
    }

    pub fn large(bytes: usize) -> Ask {
        Ask::new("GET", &format!("/bytes/{bytes}"), 0, Some(bytes))
    }

    pub fn post(bytes: usize) -> Ask {
        Ask::new("POST", "/", bytes, Some(2))
    }

    /// The same, and the last on its connection.
    pub fn last(mut self) -> Ask {
        let end = memmem::find(&self.text, b"\r\n\r\n").unwrap_or_default();
        let close = b"\r\nConnection: close".iter().copied();
        self.text.splice(end..end, close);
        self
    }

    pub fn path(path: &str) -> Ask {
        Ask::new("GET", path, 0, None)
    }

    pub fn host(host: &str, path: &str) -> Ask {
        Ask::of(host, "GET", path, 0, None)
    }
}

pub struct Connection {
    stream: TcpStream,
    answers: Messages,
}

impl Connection {
    /// `from` is who the client is; its port is left to the system.
    pub async fn open(from: Ipv4Addr, edge: SocketAddr, ask: &Ask) -> Result<Connection, String> {
        let failed = |why: std::io::Error| format!("connecting: {why}");
        let socket = TcpSocket::new_v4().map_err(failed)?;
        if from != Ipv4Addr::LOCALHOST {
            socket.set_reuseaddr(true).map_err(failed)?;
            socket.bind((from, 0).into()).map_err(failed)?;
        }
        let stream = socket.connect(edge).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let is_large = ask.answer_bytes.is_some_and(|bytes| bytes > SMALL_BYTES);
        Ok(Connection {
            stream,
            answers: Messages::with_buffer(if is_large { LARGE_BYTES } else { SMALL_BYTES }),
        })
    }

    /// One request, and the whole of its answer.
    pub async fn ask(&mut self, ask: &Ask) -> Result<(), String> {
        let sent = self.stream.write_all(&ask.text).await;
        sent.map_err(|why| format!("sending: {why}"))?;
        let answer = self.answers.next(&mut self.stream).await;
        let answer = answer.map_err(|why| format!("reading: {why}"))?;
        let answer = answer.ok_or("closed without an answer")?;
        let status = answer.head.get(9..12).unwrap_or_default();
        if status != b"200" {
            return Err(format!("status {}", String::from_utf8_lossy(status)));
        }
        let bytes = answer.body_bytes;
        if ask.answer_bytes.is_some_and(|expected| bytes != expected) {
            return Err(format!("an answer of {bytes} bytes"));
        }
        Ok(())
    }
}
