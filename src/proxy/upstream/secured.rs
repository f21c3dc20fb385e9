//! TLS with a replica, for Pingora: to its connectors the stream is a socket like any other, so
//! that all ways to a replica use the same keys, names and sessions.

use crate::service::replica::stream::ReplicaStream;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use socket2::SockRef;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection as Pingora takes it.
pub fn for_pingora(stream: ReplicaStream) -> Stream {
    match stream {
        ReplicaStream::Clear(stream) => stream.into(),
        ReplicaStream::Secured(stream) => {
            Stream::from(VirtualSocketStream::new(Box::new(SecuredSocket(stream))))
        }
    }
}

#[derive(Debug)]
struct SecuredSocket(Box<TlsStream<TcpStream>>);

impl VirtualSocket for SecuredSocket {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => SockRef::from(self.0.get_ref().0).set_tcp_nodelay(true),
            // Connections of Pingora's way are not kept.
            _ => Ok(()),
        }
    }
}

impl AsyncRead for SecuredSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for SecuredSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
