//! Connections to a replica that no request is on, kept for the next one.
//!
//! A program closes a connection that was silent for as long as it likes: after 5 s Node.js,
//! uvicorn and Apache, after 2 s gunicorn. A request that meets the end of its connection is sent
//! again if it may be; what may not be repeated is lost. So connections are given up before the
//! replica does it, where it says when (`Keep-Alive: timeout=`) or has shown it; and what may not
//! be repeated goes on one that was used a moment ago and is open by the kernel's word, or on a
//! new one.

use nix::sys::socket::{MsgFlags, recv};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Dropped after this much silence, whatever the replica says.
pub const IDLE_MAX: Duration = Duration::from_secs(30);
/// Was used a moment ago: no program that keeps connections at all gives them up as fast.
pub const JUST_USED: Duration = Duration::from_millis(500);
/// Connections that one replica keeps open to nobody.
const KEPT_MAX: usize = 1024;
/// How much earlier than the replica we give a connection up, or half of its time.
const AHEAD: Duration = Duration::from_secs(1);
/// One that is closed earlier than that was not closed because it was silent.
const LEARNT_MIN: Duration = Duration::from_millis(200);
/// A learnt limit is forgotten after that: a program that restarts closes all that it has, too.
const LEARNT_FOR: Duration = Duration::from_secs(600);

/// Whether a request survives the end of the connection that it is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The request is sent again.
    MayBeRepeated,
    /// The request is lost.
    Once,
}

#[derive(Debug, Default)]
pub struct Kept(Mutex<Idle>);

#[derive(Debug, Default)]
struct Idle {
    /// Since when each is silent; the last one was used last.
    all: VecDeque<(TcpStream, Instant)>,
    limits: Limits,
}

impl Kept {
    /// The one that was used last; those that say something unasked, be it that they are closed,
    /// are none.
    pub fn take(&self, now: Instant, used: Use) -> Option<TcpStream> {
        loop {
            let taken = self.idle().take(now, used);
            let Taken::One(stream, silent) = taken else {
                return None;
            };
            if is_quiet(&stream) && (used == Use::MayBeRepeated || is_open(stream.as_raw_fd())) {
                return Some(stream);
            }
            self.idle().limits.learn(silent, now);
        }
    }

    pub fn give(&self, stream: TcpStream) {
        let mut idle = self.idle();
        if idle.all.len() < KEPT_MAX {
            idle.all.push_back((stream, Instant::now()));
        }
    }

    /// The replica says how long it keeps a silent connection.
    pub fn announced(&self, timeout: Duration) {
        self.idle().limits.announced = Some(timeout);
    }

    /// How long a connection may be silent before this use.
    pub fn limit(&self, used: Use) -> Duration {
        self.idle().limits.of(used)
    }

    /// Drops what was silent for too long and what the replica has closed.
    pub fn sweep(&self) {
        let dropped: Vec<_> = {
            let mut idle = self.idle();
            let now = Instant::now();
            idle.limits.forget(now);
            let limit = idle.limits.of(Use::MayBeRepeated);
            let mut kept = VecDeque::with_capacity(idle.all.len());
            let mut dropped = Vec::new();
            for (stream, since) in std::mem::take(&mut idle.all) {
                let silent = now.duration_since(since);
                if !is_quiet(&stream) {
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

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    fn take(&mut self, now: Instant, used: Use) -> Taken {
        let Some((stream, since)) = self.all.pop_back() else {
            return Taken::None;
        };
        let silent = now.saturating_duration_since(since);
        if silent < self.limits.of(used) {
            return Taken::One(stream, silent);
        }
        // All others are older.
        self.all.push_back((stream, since));
        match used {
            Use::MayBeRepeated => Taken::None,
            Use::Once => {
                let oldest = self.all.pop_front();
                oldest.map_or(Taken::None, |(stream, _)| Taken::Worn { _stream: stream })
            }
        }
    }
}

/// A connection for one request, if there is one.
enum Taken {
    /// A connection, and how long it was silent.
    One(TcpStream, Duration),
    None,
    /// The oldest of those that this use is too good for: a new one takes its place, or they
    /// would become ever more.
    Worn {
        _stream: TcpStream,
    },
}

/// How long a replica keeps a silent connection.
#[derive(Debug, Default)]
struct Limits {
    announced: Option<Duration>,
    /// The shortest silence after which one was found closed, and when that was.
    learnt: Option<(Duration, Instant)>,
}

impl Limits {
    fn of(&self, used: Use) -> Duration {
        let announced = self.announced.map(|time| time - AHEAD.min(time / 2));
        // The end of a connection is found some time after it.
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

/// As far as the runtime has heard, which costs nothing.
fn is_quiet(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// Whether a connection is open and says nothing, by the kernel's own word: the runtime may not
/// have heard yet.
pub fn is_open(connection: RawFd) -> bool {
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(connection, &mut [0], flags) == Err(nix::errno::Errno::EAGAIN)
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
        assert_eq!(
            kept.take(Instant::now(), Use::MayBeRepeated)
                .unwrap()
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
                assert!(kept.idle().all.is_empty());
            }
            assert!(kept.take(Instant::now(), Use::MayBeRepeated).is_none());
        }
    }

    #[tokio::test]
    async fn what_was_silent_for_long_is_swept() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
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
        let kept = Kept::default();
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
        let kept = Kept::default();
        let (stream, there) = pair(&listener).await;
        is_quiet(&stream);
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
            let mut limits = Limits {
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
