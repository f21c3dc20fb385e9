//! A client's stream behind TLS.

use pingora::protocols::tls::SslDigest;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A client's stream behind TLS, which takes bytes at the pace of the socket below: those that it
/// has taken are with the kernel.
pub struct Secured {
    inner: TlsStream<TcpStream>,
    /// Bytes of the write under way that are encrypted already. Its caller comes back with the
    /// same bytes, as it does for a socket that is full.
    taken: usize,
}

impl Secured {
    pub fn new(inner: TlsStream<TcpStream>) -> Secured {
        Secured { inner, taken: 0 }
    }

    pub fn socket(&self) -> &TcpStream {
        self.inner.get_ref().0
    }

    /// Made when it is asked for, which few requests do.
    pub fn digest(&self) -> Arc<SslDigest> {
        let session = self.inner.get_ref().1;
        let cipher = session.negotiated_cipher_suite();
        let cipher = cipher
            .and_then(|suite| suite.suite().as_str())
            .unwrap_or("");
        let version = session.protocol_version();
        let version = version.and_then(|version| version.as_str()).unwrap_or("");
        Arc::new(SslDigest::new(cipher, version, None, None, Vec::new()))
    }

    /// Counts a write as done once the kernel has all of it.
    fn poll_taken(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
        write: impl FnOnce(Pin<&mut TlsStream<TcpStream>>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.taken == 0 {
            self.taken = ready!(write(Pin::new(&mut self.inner), cx))?;
        }
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        Poll::Ready(Ok(std::mem::take(&mut self.taken).min(length)))
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)) {
            // Many clients leave without TLS's own goodbye. HTTP says where a body ends, so that
            // nobody can cut one short unseen.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            read => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.poll_taken(cx, buf.len(), |inner, cx| inner.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let length = bufs.iter().map(|buf| buf.len()).sum();
        this.poll_taken(cx, length, |inner, cx| inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secured").field(self.socket()).finish()
    }
}
