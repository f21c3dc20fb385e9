//! Connections with requests on them, so that a lost replica's requests can be taken back.
//!
//! A replica that is paused, hangs or was cut off closes nothing, and its requests would wait for
//! as long as an answer may take. So each request notes its connection here. When the replica is
//! lost the connection is shut down, which is a broken connection to the request.
//!
//! A note is the number of a descriptor that somebody else owns and may have closed by now. The
//! descriptor is only touched while its peer is still this replica.

use super::dials::Dials;
use super::idle_pool::IdlePool;
use super::multiplexed::Multiplexed;
use nix::sys::socket::{Shutdown, SockaddrStorage, getpeername, shutdown};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// All connections of one replica.
#[derive(Debug)]
pub struct Connections {
    address: SocketAddr,
    is_lost: AtomicBool,
    loss: Notify,
    notes: Mutex<Notes>,
    pub dials: Dials,
    pub idle_pool: IdlePool,
    pub multiplexed: Multiplexed,
}

/// Notes, as many as the replica ever had requests at once.
#[derive(Debug, Default)]
struct Notes {
    all: Vec<Option<Note>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Note {
    connection: RawFd,
    /// Whether the request may still be sent to another replica: no part of an answer is there.
    may_go_elsewhere: bool,
}

impl Connections {
    pub fn to(address: SocketAddr) -> Connections {
        Connections {
            address,
            is_lost: AtomicBool::new(false),
            loss: Notify::new(),
            notes: Mutex::default(),
            dials: Dials::default(),
            idle_pool: IdlePool::default(),
            multiplexed: Multiplexed::default(),
        }
    }

    /// Closes connections that nobody uses any more.
    pub fn sweep(&self) {
        self.idle_pool.sweep();
        self.multiplexed.sweep();
    }

    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Resolves when the replica is lost.
    pub async fn lost(&self) {
        let loss = self.loss.notified();
        if !self.is_lost() {
            loss.await;
        }
    }

    /// Notes a connection on which a request is about to wait; `None` if the replica is lost.
    pub(super) fn note(&self, connection: RawFd, may_go_elsewhere: bool) -> Option<usize> {
        let mut notes = self.notes();
        if self.is_lost() {
            return None;
        }
        let note = Some(Note {
            connection,
            may_go_elsewhere,
        });
        match notes.free.pop() {
            Some(at) => {
                notes.all[at] = note;
                Some(at)
            }
            None => {
                notes.all.push(note);
                Some(notes.all.len() - 1)
            }
        }
    }

    /// Notes that the answer has begun: the request is not taken back any more.
    pub(super) fn answered(&self, at: usize) {
        if let Some(note) = &mut self.notes().all[at] {
            note.may_go_elsewhere = false;
        }
    }

    pub(super) fn forget(&self, at: usize) {
        let mut notes = self.notes();
        notes.all[at] = None;
        notes.free.push(at);
    }

    /// Shuts down the connections of requests that another replica may answer, and refuses new
    /// ones. Requests that may not be sent twice, and answers that have begun, stay for as long as
    /// the replica does.
    pub(super) fn lose(&self) {
        self.cut(|note| note.may_go_elsewhere);
    }

    /// Shuts down all connections: the replica is gone.
    pub(super) fn end(&self) {
        self.cut(|_| true);
    }

    fn cut(&self, concerns: impl Fn(&Note) -> bool) {
        let notes = self.notes();
        self.is_lost.store(true, Ordering::Release);
        for note in notes.all.iter().flatten().filter(|note| concerns(note)) {
            if self.is_led_to_by(note.connection) {
                // An error means that it is closed already.
                let _ = shutdown(note.connection, Shutdown::Both);
            }
        }
        drop(notes);
        self.idle_pool.clear();
        self.multiplexed.clear();
        self.loss.notify_waiters();
    }

    /// Accepts connections again: the replica is back under the same address.
    pub(super) fn find_again(&self) {
        let _notes = self.notes();
        self.is_lost.store(false, Ordering::Release);
        self.dials.begin_anew();
    }

    fn is_led_to_by(&self, connection: RawFd) -> bool {
        let Ok(peer) = getpeername::<SockaddrStorage>(connection) else {
            return false;
        };
        let v4 = peer.as_sockaddr_in().map(|at| (at.ip().into(), at.port()));
        let v6 = peer.as_sockaddr_in6().map(|at| (at.ip().into(), at.port()));
        v4.or(v6) == Some::<(IpAddr, u16)>((self.address.ip(), self.address.port()))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    /// A replica, a connection to it and one to somebody else.
    fn here_and_elsewhere() -> (Connections, [TcpListener; 2], [TcpStream; 2]) {
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners
            .each_ref()
            .map(|listener| listener.local_addr().unwrap());
        let streams = addresses.map(|at| TcpStream::connect(at).unwrap());
        for stream in &streams {
            stream.set_nonblocking(true).unwrap();
        }
        (Connections::to(addresses[0]), listeners, streams)
    }

    fn is_open(mut stream: &TcpStream) -> bool {
        let read = stream.read(&mut [0]);
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    #[test]
    fn who_waits_for_a_lost_replica_is_told_and_nobody_else() {
        let (connections, _listeners, [here, elsewhere]) = here_and_elsewhere();
        // The number of a closed connection may be anybody's by now.
        connections.note(elsewhere.as_raw_fd(), true).unwrap();
        let waiting = connections.note(here.as_raw_fd(), true).unwrap();
        connections.lose();
        assert!(!is_open(&here));
        assert!(is_open(&elsewhere));
        connections.forget(waiting);
    }

    #[test]
    fn an_answer_that_has_begun_goes_on_until_the_replica_is_gone() {
        let (connections, _listeners, [here, _]) = here_and_elsewhere();
        let note = connections.note(here.as_raw_fd(), true).unwrap();
        connections.answered(note);
        connections.lose();
        assert!(is_open(&here));
        connections.end();
        assert!(!is_open(&here));
    }

    #[test]
    fn what_was_given_back_is_left_alone() {
        let (connections, _listeners, [here, _]) = here_and_elsewhere();
        let note = connections.note(here.as_raw_fd(), true).unwrap();
        connections.forget(note);
        connections.lose();
        assert!(is_open(&here));
    }

    #[tokio::test]
    async fn nobody_begins_to_wait_for_a_lost_replica_until_it_is_back() {
        let (connections, _listeners, [here, _]) = here_and_elsewhere();
        connections.lose();
        connections.lost().await;
        assert_eq!(connections.note(here.as_raw_fd(), true), None);
        connections.find_again();
        assert!(connections.note(here.as_raw_fd(), true).is_some());
    }
}
