//! A client that shows everything it got.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or("not text"))
    }
}

/// One keep-alive connection.
pub struct Connection {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Connection { address, sender })
    }

    pub async fn send(
        &mut self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> hyper::Result<Answer> {
        let mut request = request.body(Full::new(body.into())).expect("a request");
        let host = self.address.to_string().parse().expect("a header value");
        request.headers_mut().entry("host").or_insert(host);
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        })
    }

    pub async fn get(&mut self, path: &str) -> hyper::Result<Answer> {
        self.send(Request::get(path), "").await
    }
}

pub async fn send(
    address: SocketAddr,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Answer {
    let mut connection = Connection::open(address).await.expect("a connection");
    connection.send(request, body).await.expect("an answer")
}

/// Returns with the answer's head; what comes out then is the whole body, if it is whole.
pub async fn begin(
    address: SocketAddr,
    path: &str,
) -> impl Future<Output = hyper::Result<String>> + use<> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let request = Request::get(path).header("host", address.to_string());
    let request = request.body(Full::<Bytes>::default()).expect("a request");
    let answer = sender.send_request(request).await.expect("an answer");
    async move {
        let _open = sender;
        let body = answer.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8_lossy(&body).into_owned())
    }
}

pub async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, Request::get(path), "").await
}

/// Sends `bytes` as they are and returns whatever comes back until the other side closes.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    String::from_utf8_lossy(&raw_bytes(address, bytes).await).into_owned()
}

/// The same of an answer that is no text.
pub async fn raw_bytes(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // The other side may refuse and close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}
