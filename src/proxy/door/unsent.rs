//! Small writes, gathered until they are worth a call to the kernel.
//!
//! Pingora's own buffer would be there for as long as the connection is; this one is there while
//! there is something in it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Larger writes go to the kernel as they are.
const UNSENT_BYTES_MAX: usize = 16 << 10;

#[derive(Default)]
pub struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
}

impl Unsent {
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes all of it to `stream`.
    pub fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while self.sent < self.bytes.len() {
            let left = &self.bytes[self.sent..];
            match ready!(Pin::new(&mut *stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        *self = Unsent::default();
        Poll::Ready(Ok(()))
    }

    /// Keeps `pieces` for later, or writes as much of them as goes.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        if self.bytes.len() + length > UNSENT_BYTES_MAX {
            ready!(self.poll_send(cx, stream))?;
        }
        if length >= UNSENT_BYTES_MAX {
            return match pieces {
                [piece] => Pin::new(stream).poll_write(cx, piece),
                pieces => Pin::new(stream).poll_write_vectored(cx, pieces),
            };
        }
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        Poll::Ready(Ok(length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;

    /// A buffer in front of `stream`, so that a test can write in its usual words.
    async fn write(unsent: &mut Unsent, stream: &mut tokio::io::DuplexStream, piece: &[u8]) {
        let mut left = piece;
        while !left.is_empty() {
            let written =
                poll_fn(|cx| unsent.poll_write(cx, &mut *stream, &[IoSlice::new(left)])).await;
            left = &left[written.unwrap()..];
        }
    }

    #[tokio::test]
    async fn small_pieces_arrive_together_and_in_order_and_nothing_is_kept() {
        let (mut stream, mut other) = tokio::io::duplex(1 << 20);
        let mut unsent = Unsent::default();
        write(&mut unsent, &mut stream, b"head").await;
        write(&mut unsent, &mut stream, b"body").await;
        let nothing = futures_util::poll!(Box::pin(other.read_u8()));
        assert!(nothing.is_pending(), "it waits for more");
        poll_fn(|cx| unsent.poll_send(cx, &mut stream))
            .await
            .unwrap();
        assert_eq!(unsent.bytes.capacity(), 0);
        write(&mut unsent, &mut stream, b"small").await;
        write(&mut unsent, &mut stream, &[b'x'; UNSENT_BYTES_MAX]).await;
        assert!(unsent.is_empty(), "what is large takes along what is there");
        let mut all = vec![0; 13 + UNSENT_BYTES_MAX];
        other.read_exact(&mut all).await.unwrap();
        assert!(all.starts_with(b"headbodysmallxxx"));
    }

    #[tokio::test]
    async fn nothing_is_lost_to_one_who_reads_slowly() {
        let (mut stream, mut other) = tokio::io::duplex(7);
        let sent: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        let mut unsent = Unsent::default();
        let writing = async {
            for piece in sent.chunks(30_011).flat_map(|some| some.chunks(9_001)) {
                write(&mut unsent, &mut stream, piece).await;
            }
            poll_fn(|cx| unsent.poll_send(cx, &mut stream))
                .await
                .unwrap();
            drop(stream);
        };
        let mut got = Vec::new();
        let (_, read) = tokio::join!(writing, other.read_to_end(&mut got));
        read.unwrap();
        assert!(got == sent);
    }
}
