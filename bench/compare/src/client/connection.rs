//! One connection of a client to an edge.

use crate::message::Messages;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// What is asked, again and again, and what is expected.
#[derive(Clone)]
pub struct Ask {
    text: Vec<u8>,
    answer_bytes: usize,
}

impl Ask {
    /// As a client with few words would ask it.
    pub fn new(method: &str, path: &str, body_bytes: usize, answer_bytes: usize) -> Ask {
        let body = match body_bytes {
            0 => String::new(),
            count => format!("Content-Length: {count}\r\nContent-Type: application/json\r\n"),
        };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: compare\r\n\
             Accept: */*\r\n{body}\r\n"
        );
        Ask {
            text: [head.into_bytes(), vec![b'x'; body_bytes]].concat(),
            answer_bytes,
        }
    }

    pub fn small() -> Ask {
        Ask::new("GET", "/", 0, 2)
    }

    pub fn large(bytes: usize) -> Ask {
        Ask::new("GET", &format!("/bytes/{bytes}"), 0, bytes)
    }

    pub fn post(bytes: usize) -> Ask {
        Ask::new("POST", "/", bytes, 2)
    }
}

pub struct Connection {
    stream: TcpStream,
    answers: Messages,
}

impl Connection {
    pub async fn open(edge: SocketAddr) -> Result<Connection, String> {
        Connection::open_from(([127, 0, 0, 1], 0).into(), edge).await
    }

    pub async fn open_from(from: SocketAddr, edge: SocketAddr) -> Result<Connection, String> {
        let failed = |why: std::io::Error| format!("connecting: {why}");
        let socket = TcpSocket::new_v4().map_err(failed)?;
        if !from.ip().is_loopback() || from.ip() != std::net::Ipv4Addr::LOCALHOST {
            socket.set_reuseaddr(true).map_err(failed)?;
            socket.bind(from).map_err(failed)?;
        }
        let stream = socket.connect(edge).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Connection {
            stream,
            answers: Messages::default(),
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
        if answer.body_bytes != ask.answer_bytes {
            return Err(format!(
                "{} bytes instead of {}",
                answer.body_bytes, ask.answer_bytes
            ));
        }
        Ok(())
    }
}
