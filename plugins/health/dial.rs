//! Connections of checks to replicas that speak TLS or HTTP/2.

use super::backend::LAST_RESORT;
use crate::plugin::prelude::*;
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{Request, Version};
use pingora::{Error, ErrorType};
use std::io::{self, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Answers of checks are a few lines.
const HEAD_BYTES_MAX: u32 = 64 << 10;

pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Connects to a replica as requests do.
pub async fn connect(upstream: &Upstream, address: SocketAddr) -> pingora::Result<Box<dyn Io>> {
    let connected = timeout(LAST_RESORT, TcpStream::connect(address)).await;
    let stream = match connected {
        Ok(connected) => connected.map_err(unconnected)?,
        Err(_) => return Err(Error::new_up(ErrorType::ConnectTimedout)),
    };
    let Some(tls) = &upstream.tls else {
        return Ok(Box::new(stream));
    };
    let secured = tls.connect(stream, address.ip()).await.map_err(|error| {
        let words = tls_failure(&error).unwrap_or_else(|| format!("TLS failed: {error}"));
        Error::explain(ErrorType::TLSHandshakeFailure, words).into_up()
    })?;
    Ok(Box::new(secured))
}

fn unconnected(error: io::Error) -> Box<Error> {
    let kind = match error.kind() {
        ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
        _ => ErrorType::ConnectError,
    };
    Error::because(kind, "connecting to a replica", error).into_up()
}

/// A connection of HTTP/2, which ends with this.
pub struct Http2 {
    pub requests: SendRequest<Bytes>,
    task: JoinHandle<()>,
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Http2 {
    pub async fn begin(stream: Box<dyn Io>) -> pingora::Result<Http2> {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .max_header_list_size(HEAD_BYTES_MAX);
        let (requests, connection) = builder.handshake(stream).await.map_err(not_http2)?;
        let task = tokio::spawn(async move {
            // Requests hear of it, too.
            let _ended = connection.await;
        });
        Ok(Http2 { requests, task })
    }
}

pub fn not_http2(error: h2::Error) -> Box<Error> {
    let (kind, what) = match error.is_io() {
        true => (
            ErrorType::ConnectionClosed,
            "closed the connection without an answer",
        ),
        false => (ErrorType::H2Error, "the answer is not HTTP/2"),
    };
    Error::because(kind, what, error).into_up()
}

/// A request's head with everything that HTTP/2 wants in it.
pub fn head(
    upstream: &Upstream,
    method: Method,
    host: &str,
    path: &str,
) -> http::Result<Request<()>> {
    let scheme = match upstream.tls {
        Some(_) => "https",
        None => "http",
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(host)
        .path_and_query(path)
        .build()?;
    let request = Request::builder().method(method).uri(uri);
    let request = request.version(Version::HTTP_2);
    request.header("user-agent", "tidegate").body(())
}
