//! The status with which a replica answers a GET above TLS or over HTTP/2.

use super::dial::{Http2, connect, head, not_http2};
use crate::plugin::prelude::*;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pingora::{Error, ErrorType};
use tokio::time::timeout;

/// Asks for `path`. The replica is silent for no longer than `silence`.
pub async fn status(
    upstream: &Upstream,
    address: SocketAddr,
    host: &str,
    path: &str,
    silence: Duration,
) -> pingora::Result<u16> {
    let stream = connect(upstream, address).await?;
    let impossible = |_| Error::new_in(ErrorType::InvalidHTTPHeader);
    let request = head(upstream, Method::GET, host, path).map_err(impossible)?;
    let asked = async {
        match upstream.protocol {
            Protocol::H2 => {
                let connection = Http2::begin(stream).await?;
                let mut requests = connection.requests.clone();
                let sent = requests.send_request(request, true).map_err(not_http2)?;
                let answer = sent.0.await.map_err(not_http2)?;
                Ok(answer.status().as_u16())
            }
            Protocol::Http1 => {
                let shaken = http1::handshake(TokioIo::new(stream)).await;
                let (mut requests, connection) = shaken.map_err(not_http1)?;
                let mut request = request.map(|()| Empty::<Bytes>::new());
                *request.version_mut() = http::Version::HTTP_11;
                let host = HeaderValue::try_from(host)
                    .map_err(|_| Error::new_in(ErrorType::InvalidHTTPHeader))?;
                request.headers_mut().insert(http::header::HOST, host);
                let path = request.uri().path_and_query().cloned();
                *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
                let answer = tokio::select! {
                    biased;
                    answer = requests.send_request(request) => answer.map_err(not_http1)?,
                    ended = connection => {
                        ended.map_err(not_http1)?;
                        return Err(Error::new_up(ErrorType::ConnectionClosed));
                    }
                };
                Ok(answer.status().as_u16())
            }
        }
    };
    let silent = |_| Error::new_up(ErrorType::ReadTimedout);
    timeout(silence, asked).await.map_err(silent)?
}

fn not_http1(error: hyper::Error) -> Box<Error> {
    let kind = match error.is_parse() {
        true => ErrorType::InvalidHTTPHeader,
        false => ErrorType::ConnectionClosed,
    };
    Error::because(kind, "asking a replica", error).into_up()
}
