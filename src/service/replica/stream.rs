//! A connection to a replica: TCP, or TLS above it.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

#[derive(Debug)]
pub enum ReplicaStream {
    Clear(TcpStream),
    Secured(Box<TlsStream<TcpStream>>),
}

impl ReplicaStream {
    pub fn tcp(&self) -> &TcpStream {
        match self {
            ReplicaStream::Clear(stream) => stream,
            ReplicaStream::Secured(stream) => stream.get_ref().0,
        }
    }

    /// Whether the stream is open and silent as far as the runtime knows, without a system call.
    pub(super) fn is_quiet(&mut self) -> bool {
        match self {
            ReplicaStream::Clear(stream) => {
                let read = stream.try_read(&mut [0]);
                read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            }
            // Bytes that a replica sends unasked may be tickets, which are no data.
            ReplicaStream::Secured(stream) => {
                let mut context = Context::from_waker(Waker::noop());
                let mut room = [0];
                let read = Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut room));
                read.is_pending()
            }
        }
    }
}

impl AsRawFd for ReplicaStream {
    fn as_raw_fd(&self) -> RawFd {
        self.tcp().as_raw_fd()
    }
}

impl AsyncRead for ReplicaStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ReplicaStream::Clear(stream) => Pin::new(stream).poll_read(cx, buf),
            ReplicaStream::Secured(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for ReplicaStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ReplicaStream::Clear(stream) => Pin::new(stream).poll_write(cx, buf),
            ReplicaStream::Secured(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            ReplicaStream::Clear(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            ReplicaStream::Secured(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ReplicaStream::Clear(stream) => Pin::new(stream).poll_flush(cx),
            ReplicaStream::Secured(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            ReplicaStream::Clear(stream) => Pin::new(stream).poll_shutdown(cx),
            ReplicaStream::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
