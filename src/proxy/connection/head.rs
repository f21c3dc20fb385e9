//! Waiting for a request.

use super::Connection;
use bytes::BytesMut;
use memchr::{memchr_iter, memmem};
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncRead, ReadBuf};

/// Read at once; most heads are smaller. It is on the stack, and only while there is something.
const READ_BYTES: usize = 4 << 10;
/// As many as Pingora's parser takes.
const HEADERS_MAX: usize = 256;

/// The first bytes of a request: its whole head, and what came with it, or what the parser will
/// not take for one. `None`: the connection is over.
pub async fn arrives(
    stream: &mut (impl AsyncRead + Unpin),
    connection: &Connection,
) -> Option<BytesMut> {
    let mut head = BytesMut::new();
    loop {
        let before = head.len();
        poll_fn(|cx| {
            let mut room = [const { MaybeUninit::uninit() }; READ_BYTES];
            let mut read = ReadBuf::uninit(&mut room);
            match Pin::new(&mut *stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) => {
                    head.extend_from_slice(read.filled());
                    Poll::Ready(())
                }
                Poll::Pending if !connection.is_over() => Poll::Pending,
                Poll::Pending | Poll::Ready(Err(_)) => Poll::Ready(()),
            }
        })
        .await;
        if head.len() == before {
            return None;
        }
        if is_for_the_parser(&head, before) {
            return Some(head);
        }
    }
}

/// Whether there is nothing more to wait for. What was there `before` was asked about.
fn is_for_the_parser(bytes: &[u8], before: usize) -> bool {
    // A line may end without a return, and the blank one may have begun before.
    let new = &bytes[before.saturating_sub(2)..];
    if new.ends_with(b"\r\n\r\n") || memmem::find(new, b"\n\r\n").is_some() {
        return true;
    }
    if memchr_iter(b'\n', new).any(|at| new.get(at + 1) == Some(&b'\n')) {
        return true;
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let parsed = httparse::Request::new(&mut headers).parse(bytes);
    !matches!(parsed, Ok(httparse::Status::Partial))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    /// What is handed on when `pieces` come one after the other, and nothing more.
    async fn of(pieces: &[&str]) -> Option<String> {
        let (mut client, mut stream) = tokio::io::duplex(64 << 10);
        let connection = Connection::new(None);
        let writing = async {
            for piece in pieces {
                client.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = writing => unreachable!(),
            head = timeout(Duration::from_secs(1), arrives(&mut stream, &connection)) => {
                let head = head.ok()?.expect("it is not over");
                Some(String::from_utf8(head.to_vec()).unwrap())
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_handed_on_when_it_is_whole_or_cannot_become_one() {
        let whole = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        for (pieces, handed) in [
            (&[whole][..], Some(whole.to_owned())),
            (&[whole, "never seen"], Some(whole.to_owned())),
            (
                &["GET / HTTP/1.1\r\nhost: a\r\n", "\r\nab"],
                Some(format!("{whole}ab")),
            ),
            (
                &["GET / HTTP/1.1\r\nhost: a\r\n\r", "\n"],
                Some(whole.to_owned()),
            ),
            (
                &["GET / HTTP/1.1\nhost: a\n", "\n"],
                Some(whole.replace("\r\n", "\n")),
            ),
            (
                &["GET / HTTP/1.1\nhost: a\r\n", "\nx"],
                Some("GET / HTTP/1.1\nhost: a\r\n\nx".to_owned()),
            ),
            (&["G", "ET / HT", "TP/1.1\r\nhost: "], None),
            (&["\x16\x03\x01"], Some("\x16\x03\x01".to_owned())),
            (
                &["GET / HTTP/9.9\r\n"],
                Some("GET / HTTP/9.9\r\n".to_owned()),
            ),
            (&[&"x: 1\r\n".repeat(2)], Some("x: 1\r\n".repeat(2))),
        ] {
            assert_eq!(of(pieces).await, handed, "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn the_end_of_the_stream_is_the_end() {
        let connection = Connection::new(None);
        for bytes in [&b""[..], b"GET / HT"] {
            assert_eq!(arrives(&mut &*bytes, &connection).await, None);
        }
    }
}
