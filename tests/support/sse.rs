//! Reads a stream of server-sent events.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

const WITHIN: Duration = Duration::from_secs(20);

pub struct Stream {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
    unread: String,
    _sender: http1::SendRequest<Empty<Bytes>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// Empty: none was given.
    pub name: String,
    pub id: String,
    pub data: String,
}

impl Message {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

impl Stream {
    pub async fn open(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Stream {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        tokio::spawn(connection);
        let mut request = Request::get(path).header("host", address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let (head, body) = answer.into_parts();
        Stream {
            status: head.status,
            headers: head.headers,
            body,
            unread: String::new(),
            _sender: sender,
        }
    }

    /// The next message with data; `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some((block, rest)) = self.unread.split_once("\n\n") {
                let mut message = Message::default();
                for line in block.lines() {
                    match line.split_once(": ").or(line.split_once(':')) {
                        Some(("event", name)) => message.name = name.to_owned(),
                        Some(("id", id)) => message.id = id.to_owned(),
                        Some(("data", data)) => message.data.push_str(data),
                        _ => {}
                    }
                }
                self.unread = rest.to_owned();
                if !message.data.is_empty() {
                    return Some(message);
                }
            }
            let frame = tokio::time::timeout(WITHIN, self.body.frame()).await;
            let frame = frame.expect("a message in time")?.expect("whole");
            if let Ok(bytes) = frame.into_data() {
                self.unread
                    .push_str(std::str::from_utf8(&bytes).expect("text"));
            }
        }
    }

    /// The next message that is as wanted; panics at the end.
    pub async fn find(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        let found = async {
            loop {
                let message = self.next().await.expect("the stream goes on");
                if wanted(&message) {
                    return message;
                }
            }
        };
        tokio::time::timeout(WITHIN, found).await.expect("it comes")
    }
}
