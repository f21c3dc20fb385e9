//! Buffers to read with: a few for each thread, used again and again.
//!
//! A read finds a buffer that is still in the processor's cache, and a connection that waits holds
//! none: with a thousand of them under way, buffers of their own would be all that the cache has
//! room for.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::cell::RefCell;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes that are read at once. A read that leaves room tells the runtime that nothing more is
/// there, which spares the next one.
///
/// Over the loopback, whose segments have 65,483 bytes, a write of 64 KiB is a segment and a tail of
/// 53 bytes: two packets, two wake-ups. Twice as much costs a quarter less for each byte.
const BUFFER_BYTES: usize = 128 << 10;
/// Shorter reads are copied: a piece of them that is kept would keep the whole buffer.
const SHORT_BYTES: usize = 16 << 10;
/// Room for the rest of something that came in part, such as a head.
pub const MORE_BYTES: usize = 4 << 10;
/// Buffers of one thread that are free.
const FREE_MAX: usize = 4;

thread_local! {
    static FREE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

fn take() -> BytesMut {
    let free = FREE.with_borrow_mut(Vec::pop);
    free.unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
}

/// Takes an inbox back whose bytes were passed on. A buffer whose bytes somebody still has is not
/// used again.
pub fn give_back(mut inbox: BytesMut) {
    inbox.clear();
    if inbox.try_reclaim(BUFFER_BYTES) {
        FREE.with_borrow_mut(|free| {
            if free.len() < FREE_MAX {
                free.push(inbox);
            }
        });
    }
}

/// Adds what comes to `inbox`, which gets at least so much `room` if something is in it. While
/// nothing comes, an empty one has no buffer.
pub fn poll_fill<R: AsyncRead + Unpin>(
    from: &mut R,
    inbox: &mut BytesMut,
    room: usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    poll_fill_up_to(usize::MAX, from, inbox, room, cx)
}

/// The same of at most so many bytes.
pub fn poll_fill_up_to<R: AsyncRead + Unpin>(
    most: usize,
    from: &mut R,
    inbox: &mut BytesMut,
    room: usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    if !inbox.is_empty() {
        inbox.reserve(room);
        return poll_read(most, from, inbox, cx);
    }
    give_back(std::mem::take(inbox));
    let mut buffer = take();
    let polled = poll_read(most, from, &mut buffer, cx);
    if buffer.len() >= SHORT_BYTES {
        *inbox = buffer;
    } else {
        if !buffer.is_empty() {
            *inbox = BytesMut::from(&buffer[..]);
        }
        give_back(buffer);
    }
    polled
}

fn poll_read<R: AsyncRead + Unpin>(
    most: usize,
    from: &mut R,
    into: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut into = into.limit(most);
    let mut read = pin!(from.read_buf(&mut into));
    Pin::as_mut(&mut read).poll(cx)
}

/// Takes the first `length` bytes out, such as a head, without keeping a large buffer for them.
pub fn take_out(inbox: &mut BytesMut, length: usize) -> Bytes {
    if inbox.len() < SHORT_BYTES {
        return inbox.split_to(length).freeze();
    }
    let taken = Bytes::copy_from_slice(&inbox[..length]);
    inbox.advance(length);
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncWriteExt, duplex};

    async fn filled(bytes: usize) -> BytesMut {
        let (mut here, mut there) = duplex(BUFFER_BYTES);
        there.write_all(&vec![b'x'; bytes]).await.unwrap();
        let mut inbox = BytesMut::new();
        let read = poll_fn(|cx| poll_fill(&mut here, &mut inbox, MORE_BYTES, cx));
        assert_eq!(read.await.unwrap(), bytes);
        inbox
    }

    #[tokio::test]
    async fn one_who_waits_has_no_buffer() {
        let (mut here, _there) = duplex(1);
        let mut inbox = filled(BUFFER_BYTES).await;
        inbox.clear();
        let read = futures_util::poll!(poll_fn(|cx| {
            poll_fill(&mut here, &mut inbox, MORE_BYTES, cx)
        }));
        assert!(read.is_pending());
        assert_eq!(inbox.capacity(), 0);
    }

    #[tokio::test]
    async fn a_short_read_keeps_no_large_buffer() {
        assert!(filled(SHORT_BYTES - 1).await.capacity() < BUFFER_BYTES / 2);
        let mut long = filled(SHORT_BYTES).await;
        let place = long.as_ptr();
        let head = take_out(&mut long, 100);
        assert_eq!((head.len(), long.len()), (100, SHORT_BYTES - 100));
        give_back(long);
        assert_eq!(filled(BUFFER_BYTES).await.as_ptr(), place, "it is free");
    }

    #[tokio::test]
    async fn a_buffer_is_used_again_once_nobody_has_its_bytes() {
        let mut inbox = filled(BUFFER_BYTES).await;
        let place = inbox.as_ptr();
        let piece = inbox.split().freeze();
        give_back(inbox);
        let mut next = filled(BUFFER_BYTES).await;
        assert_ne!(next.as_ptr(), place, "somebody has a piece of it");
        assert!(piece.iter().all(|byte| *byte == b'x'));
        let place = next.as_ptr();
        drop(next.split().freeze());
        give_back(next);
        assert_eq!(filled(BUFFER_BYTES).await.as_ptr(), place);
    }
}
