//! The pool of idle connections to a replica.
//!
//! A program closes idle connections when it likes: Node.js, uvicorn and Apache after 5 s, gunicorn
//! after 2 s. A request that meets the end of its connection is sent again if it may be repeated,
//! and is lost otherwise. So the pool closes connections before the replica does, as far as the
//! replica announces its limit (`Keep-Alive: timeout=`) or has shown it. A request that may not be
//! repeated gets a connection that was used a moment ago and that the kernel reports as open, or a
//! new one.

use super::stream::ReplicaStream;
use nix::sys::socket::{MsgFlags, recv};
use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longest silence of an idle connection, whatever the replica announces.
pub const IDLE_MAX: Duration = Duration::from_secs(30);
/// Longest silence for a request that may not be repeated: no program closes as early as that.
pub const JUST_USED: Duration = Duration::from_millis(500);
/// Idle connections of one replica.
const KEPT_MAX: usize = 1024;
/// Margin before the announced limit; at most half of it.
const AHEAD: Duration = Duration::from_secs(1);
/// Least silence that teaches a limit: an earlier end has another cause.
const LEARNT_MIN: Duration = Duration::from_millis(200);
/// Time for which a learnt limit is kept: a restart closes all connections, too.
const LEARNT_FOR: Duration = Duration::from_secs(600);

/// Whether a request may be sent again when its connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The request may be sent again.
    MayBeRepeated,
    /// The request would be lost.
    Once,
}

#[derive(Debug, Default)]
pub struct IdlePool(Mutex<IdleConnections>);

#[derive(Debug, Default)]
struct IdleConnections {
    /// Connections with the time of their last use, the most recent at the back.
    all: VecDeque<(ReplicaStream, Instant)>,
    limits: SilenceLimits,
}

impl IdlePool {
    /// The connection that was used last. Closed ones, and ones that sent bytes unasked, are
    /// dropped.
    pub fn take(&self, now: Instant, used: Use) -> Option<ReplicaStream> {
        loop {
            let taken = self.idle().take(now, used);
            let Pick::One(mut stream, silent) = taken else {
                return None;
            };
            if stream.is_quiet() && (used == Use::MayBeRepeated || is_open(stream.as_raw_fd())) {
                return Some(stream);
            }
            self.idle().limits.learn(silent, now);
        }
    }

    pub fn give(&self, stream: ReplicaStream) {
        let mut idle = self.idle();
        if idle.all.len() < KEPT_MAX {
            idle.all.push_back((stream, Instant::now()));
        }
    }

    /// Sets the limit that the replica announces.
    pub fn announced(&self, timeout: Duration) {
        self.idle().limits.announced = Some(timeout);
    }

    /// Longest silence of a connection before this use.
    pub fn limit(&self, used: Use) -> Duration {
        self.idle().limits.of(used)
    }

    /// Drops connections that were silent for too long, and those that the replica has closed.
    pub fn sweep(&self) {
        let dropped: Vec<_> = {
            let mut idle = self.idle();
            let now = Instant::now();
            idle.limits.forget(now);
            let limit = idle.limits.of(Use::MayBeRepeated);
            let mut kept = VecDeque::with_capacity(idle.all.len());
            let mut dropped = Vec::new();
            for (mut stream, since) in std::mem::take(&mut idle.all) {
                let silent = now.duration_since(since);
                if !stream.is_quiet() {
                    idle.limits.learn(silent, now);
                    dropped.push(stream);
                } else if silent >= limit {
                    dropped.push(stream);
                } else {
                    kept.push_back((stream, since));
                }
            }
            idle.all = kept;
            dropped
        };
        drop(dropped);
    }

    pub fn clear(&self) {
        let dropped = std::mem::take(&mut self.idle().all);
        drop(dropped);
    }

    fn idle(&self) -> MutexGuard<'_, IdleConnections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IdleConnections {
    fn take(&mut self, now: Instant, used: Use) -> Pick {
        let Some((stream, since)) = self.all.pop_back() else {
            return Pick::None;
        };
        let silent = now.saturating_duration_since(since);
        if silent < self.limits.of(used) {
            return Pick::One(stream, silent);
        }
        // All others were used earlier.
        self.all.push_back((stream, since));
        match used {
            Use::MayBeRepeated => Pick::None,
            Use::Once => {
                let oldest = self.all.pop_front();
                oldest.map_or(Pick::None, |(stream, _)| Pick::Worn { _stream: stream })
            }
        }
    }
}

/// Result of a look into the pool.
enum Pick {
    /// A connection, and its silence.
    One(ReplicaStream, Duration),
    None,
    /// The oldest connection, none of which may serve this use. A new one takes its place, because
    /// the pool would grow otherwise.
    Worn {
        _stream: ReplicaStream,
    },
}

/// How long a replica keeps a silent connection.
#[derive(Debug, Default)]
struct SilenceLimits {
    announced: Option<Duration>,
    /// Shortest silence after which a connection was found closed, and the time of that.
    learnt: Option<(Duration, Instant)>,
}

impl SilenceLimits {
    fn of(&self, used: Use) -> Duration {
        let announced = self.announced.map(|time| time - AHEAD.min(time / 2));
        // A connection is found closed some time after its end.
        let learnt = self.learnt.map(|(silent, _)| silent / 2);
        let most = match used {
            Use::MayBeRepeated => IDLE_MAX,
            Use::Once => JUST_USED,
        };
        let limits = [announced, learnt].into_iter().flatten();
        limits.fold(most, Duration::min)
    }

    fn learn(&mut self, silent: Duration, now: Instant) {
        if silent < LEARNT_MIN {
            return;
        }
        let before = self.learnt.map_or(silent, |(before, _)| before);
        self.learnt = Some((silent.min(before), now));
    }

    fn forget(&mut self, now: Instant) {
        let is_old =
            |(_, at): &(Duration, Instant)| now.saturating_duration_since(*at) >= LEARNT_FOR;
        self.learnt = self.learnt.filter(|learnt| !is_old(learnt));
    }
}

/// Whether a connection is open and silent as the kernel reports it, ahead of the runtime.
pub fn is_open(connection: RawFd) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(connection, &mut [0], flags) == Err(nix::errno::Errno::EAGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair(listener: &TcpListener) -> (ReplicaStream, TcpStream) {
        let here = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (there, _) = listener.accept().await.unwrap();
        (ReplicaStream::Clear(here.unwrap()), there)
    }

    #[tokio::test]
    async fn what_was_used_last_is_used_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = IdlePool::default();
        let (first, _there) = pair(&listener).await;
        let (second, _there) = pair(&listener).await;
        let name = second.tcp().local_addr().unwrap();
        kept.give(first);
        kept.give(second);
        assert_eq!(
            kept.take(Instant::now(), Use::MayBeRepeated)
                .unwrap()
                .tcp()
                .local_addr()
                .unwrap(),
            name
        );
        for is_there in [true, false] {
            let next = kept.take(Instant::now(), Use::MayBeRepeated);
            assert_eq!(next.is_some(), is_there);
        }
    }

    #[tokio::test]
    async fn what_is_closed_or_speaks_unasked_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for sweeps in [false, true] {
            let kept = IdlePool::default();
            let (closed, there) = pair(&listener).await;
            drop(there);
            let (speaking, mut there) = pair(&listener).await;
            there.write_all(b"HTTP/1.1 408 ").await.unwrap();
            for stream in [closed, speaking] {
                stream.tcp().readable().await.unwrap();
                kept.give(stream);
            }
            if sweeps {
                kept.sweep();
                assert!(kept.idle().all.is_empty());
            }
            assert!(kept.take(Instant::now(), Use::MayBeRepeated).is_none());
        }
    }

    #[tokio::test]
    async fn what_was_silent_for_long_is_swept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = IdlePool::default();
        let (stream, _there) = pair(&listener).await;
        kept.give(stream);
        kept.sweep();
        assert_eq!(kept.idle().all.len(), 1);
        tokio::time::pause();
        tokio::time::advance(IDLE_MAX).await;
        kept.sweep();
        assert!(kept.idle().all.is_empty());
    }

    #[tokio::test]
    async fn a_request_that_may_not_be_repeated_goes_on_a_connection_used_a_moment_ago() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = IdlePool::default();
        let mut there = Vec::new();
        for _ in 0..3 {
            let (stream, other) = pair(&listener).await;
            kept.give(stream);
            there.push(other);
        }
        let now = Instant::now();
        assert!(kept.take(now, Use::Once).is_some());
        assert!(kept.take(now + JUST_USED, Use::Once).is_none());
        assert_eq!(kept.idle().all.len(), 1, "a new one takes its place");
        assert!(kept.take(now + JUST_USED, Use::MayBeRepeated).is_some());
    }

    /// The runtime hears of it when it polls, which it does not in between here.
    #[tokio::test]
    async fn a_request_that_may_not_be_repeated_avoids_connections_that_the_kernel_knows_to_be_closed()
     {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = IdlePool::default();
        let (mut stream, there) = pair(&listener).await;
        stream.is_quiet();
        kept.give(stream);
        drop(there);
        assert!(kept.take(Instant::now(), Use::Once).is_none());
    }

    #[test]
    fn a_connection_is_given_up_before_the_replica_does_it() {
        let seconds = Duration::from_secs_f64;
        for (announced, learnt, expected) in [
            (None, None, 30.0),
            (Some(5.0), None, 4.0),
            (Some(1.0), None, 0.5),
            (Some(0.0), None, 0.0),
            (Some(600.0), None, 30.0),
            (None, Some(5.5), 2.75),
            (Some(5.0), Some(1.0), 0.5),
            (None, Some(0.1), 30.0),
        ] {
            let now = Instant::now();
            let mut limits = SilenceLimits {
                announced: announced.map(seconds),
                learnt: None,
            };
            if let Some(silent) = learnt.map(seconds) {
                limits.learn(silent * 2, now);
                limits.learn(silent, now);
                limits.learn(silent * 3, now);
            }
            if learnt == Some(0.1) {
                limits.learnt = None;
                limits.learn(seconds(0.1), now);
            }
            assert_eq!(
                limits.of(Use::MayBeRepeated),
                seconds(expected),
                "{announced:?} {learnt:?}"
            );
            assert_eq!(
                limits.of(Use::Once),
                seconds(expected).min(JUST_USED),
                "{announced:?} {learnt:?}"
            );
            limits.forget(now + LEARNT_FOR);
            assert_eq!(limits.learnt, None);
        }
    }
}
