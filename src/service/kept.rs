//! Connections to a replica that no request is on, kept for the next one.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Dropped after this much silence, before any usual program's own keep-alive limit can close
/// them under a request.
pub const IDLE_MAX: Duration = Duration::from_secs(30);
/// Connections that one replica keeps open to nobody.
const KEPT_MAX: usize = 1024;

#[derive(Debug, Default)]
pub struct Kept(Mutex<VecDeque<(TcpStream, Instant)>>);

impl Kept {
    /// The one that was used last; those that say something unasked, be it that they are closed,
    /// are none.
    pub fn take(&self) -> Option<TcpStream> {
        loop {
            let (stream, _) = self.all().pop_back()?;
            if is_quiet(&stream) {
                return Some(stream);
            }
        }
    }

    pub fn give(&self, stream: TcpStream) {
        let mut all = self.all();
        if all.len() < KEPT_MAX {
            all.push_back((stream, Instant::now()));
        }
    }

    /// Drops what was silent for too long and what the replica has closed.
    pub fn sweep(&self) {
        let dropped: VecDeque<_> = {
            let mut all = self.all();
            let now = Instant::now();
            let is_over = |(stream, since): &(TcpStream, Instant)| {
                now.duration_since(*since) >= IDLE_MAX || !is_quiet(stream)
            };
            let (over, kept) = all.drain(..).partition(is_over);
            *all = kept;
            over
        };
        drop(dropped);
    }

    pub fn clear(&self) {
        let dropped = std::mem::take(&mut *self.all());
        drop(dropped);
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<(TcpStream, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_quiet(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let here = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (there, _) = listener.accept().await.unwrap();
        (here.unwrap(), there)
    }

    #[tokio::test]
    async fn what_was_used_last_is_used_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let (first, _there) = pair(&listener).await;
        let (second, _there) = pair(&listener).await;
        let name = second.local_addr().unwrap();
        kept.give(first);
        kept.give(second);
        assert_eq!(kept.take().unwrap().local_addr().unwrap(), name);
        assert!(kept.take().is_some() && kept.take().is_none());
    }

    #[tokio::test]
    async fn what_is_closed_or_speaks_unasked_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for sweeps in [false, true] {
            let kept = Kept::default();
            let (closed, there) = pair(&listener).await;
            drop(there);
            let (speaking, mut there) = pair(&listener).await;
            there.write_all(b"HTTP/1.1 408 ").await.unwrap();
            for stream in [closed, speaking] {
                stream.readable().await.unwrap();
                kept.give(stream);
            }
            if sweeps {
                kept.sweep();
                assert!(kept.all().is_empty());
            }
            assert!(kept.take().is_none());
        }
    }

    #[tokio::test]
    async fn what_was_silent_for_long_is_swept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let (stream, _there) = pair(&listener).await;
        kept.give(stream);
        kept.sweep();
        assert_eq!(kept.all().len(), 1);
        tokio::time::pause();
        tokio::time::advance(IDLE_MAX).await;
        kept.sweep();
        assert!(kept.all().is_empty());
    }
}
