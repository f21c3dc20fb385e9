//! The server behind both edges: a small answer, or a large one.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpSocket};

const BIG_BYTES: usize = 16 << 20;

/// Two of them, so that a request that cannot connect to one has another.
pub async fn start() -> Result<[SocketAddr; 2], String> {
    let big = Bytes::from(vec![b'x'; BIG_BYTES]);
    Ok([one(big.clone()).await?, one(big).await?])
}

/// The kernel's buffer for a connection of a server. Behind a real network it grows with the bytes
/// that the edge takes; over the loopback, whose packets have 64 KiB, it begins with 1.3 MiB, and
/// some thousand of these are all the memory that the kernel has for TCP.
const UNSENT_BYTES_MAX: u32 = 128 << 10;

fn listen() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(UNSENT_BYTES_MAX)?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(4096)
}

async fn one(big: Bytes) -> Result<SocketAddr, String> {
    let listener = listen().map_err(|why| format!("listening: {why}"))?;
    let address = listener.local_addr().map_err(|why| why.to_string())?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let big = big.clone();
            let service = service_fn(move |request| answer(request, big.clone()));
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                let _ = connection.await;
            });
        }
    });
    Ok(address)
}

async fn answer(
    request: Request<Incoming>,
    big: Bytes,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_big = request.uri().path() == "/big";
    let _ = request.into_body().collect().await;
    let body = if is_big {
        big
    } else {
        Bytes::from_static(b"ok")
    };
    Ok(Response::new(Full::new(body)))
}
