//! Messages between a process and its successor.
//!
//! Every running process listens at the unix socket `upgrade.sock` in the state folder. Messages are
//! lines of JSON. Sockets and locks travel as open descriptors, so nothing is released in between.
//! `src/README.md` has the whole conversation.

use super::ticket::HandedTicketKey;
use crate::app::supervisor::Supervisor;
use memchr::memchr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Version of the protocol, which both sides must share.
pub const PROTOCOL: u32 = 1;
/// The kernel passes no more than 253 at once.
const DESCRIPTORS_MAX: usize = 250;
/// Room for a hundred thousand services, each its name and a number.
const MESSAGE_MAX_BYTES: usize = 16 << 20;
const READ_BYTES: usize = 64 * 1024;

/// Time at which a successor takes over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakeOver {
    Now,
    /// Once the running process gets QUIT.
    OnQuit,
}

/// A resource that only one process may hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    Listener(SocketAddr),
    StateLock,
    /// Half of the lock on containers, by its name.
    InstanceLock(String),
}

#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeMessage {
    /// The successor introduces itself.
    Hello {
        protocol: u32,
        pid: u32,
        when: TakeOver,
        /// Whether it has a supervisor of its own.
        #[serde(default)]
        supervised: bool,
    },
    /// The running process refuses, and goes on.
    Refused { why: String },
    /// Comes with a descriptor for each of `holdings`, and the ready replicas by service.
    Holdings {
        pid: u32,
        holdings: Vec<Holding>,
        ready: BTreeMap<String, u32>,
        /// The supervisor that the successor is to notify.
        #[serde(default)]
        supervisor: Supervisor,
        /// Keys with which clients resume their sessions, the newest first.
        #[serde(default)]
        tickets: Vec<HandedTicketKey>,
    },
    /// The successor has everything that it needs.
    Ready,
    /// The running process has released control. Has the desired counts by service, and the
    /// services whose count was set by hand.
    Yours {
        wanted: BTreeMap<String, u32>,
        #[serde(default)]
        by_hand: BTreeSet<String>,
    },
    /// The successor accepts connections.
    Serving,
}

/// One side of the conversation.
pub struct Conversation {
    stream: UnixStream,
    unread: Vec<u8>,
    /// Bytes of `unread` without an end of line.
    searched: usize,
    received: Vec<OwnedFd>,
}

impl Conversation {
    pub fn new(stream: UnixStream) -> Conversation {
        Conversation {
            stream,
            unread: Vec::new(),
            searched: 0,
            received: Vec::new(),
        }
    }

    /// Detaches the stream from its runtime.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.stream.into_std()
    }

    pub async fn send(&mut self, message: &UpgradeMessage) -> io::Result<()> {
        self.stream.write_all(&line(message)?).await
    }

    /// Sends a message with `descriptors`.
    pub async fn send_with(
        &mut self,
        message: &UpgradeMessage,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        if descriptors.len() > DESCRIPTORS_MAX {
            let many = format!("more than {DESCRIPTORS_MAX} sockets cannot be handed over");
            return Err(io::Error::other(many));
        }
        let line = line(message)?;
        let stream = &self.stream;
        let sent = stream.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); SPACE];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(descriptors));
            let text = [IoSlice::new(&line)];
            let flags = SendFlags::NOSIGNAL;
            Ok(rustix::net::sendmsg(
                stream.as_fd(),
                &text,
                &mut control,
                flags,
            )?)
        });
        let sent = sent.await?;
        self.stream.write_all(&line[sent..]).await
    }

    /// The next message. Cancel safe.
    pub async fn receive(&mut self) -> io::Result<UpgradeMessage> {
        loop {
            if let Some(end) = memchr(b'\n', &self.unread[self.searched..]) {
                let rest = self.unread.split_off(self.searched + end + 1);
                self.searched = 0;
                let line = std::mem::replace(&mut self.unread, rest);
                return serde_json::from_slice(&line).map_err(io::Error::from);
            }
            self.searched = self.unread.len();
            if self.unread.len() > MESSAGE_MAX_BYTES {
                return Err(io::Error::other("a message is too long"));
            }
            if self.read().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Descriptors that came with the messages received so far.
    pub fn received(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.received)
    }

    /// Resolves once the other side has closed, as its process does when it ends.
    pub async fn closed(&mut self) {
        while self.read().await.is_ok_and(|count| count > 0) {
            self.unread.clear();
            self.searched = 0;
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        let Conversation {
            stream,
            unread,
            received,
            ..
        } = self;
        let stream = &*stream;
        let read = stream.async_io(Interest::READABLE, || {
            let mut text = vec![0; READ_BYTES];
            let mut space = [MaybeUninit::uninit(); SPACE];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let got = rustix::net::recvmsg(
                stream.as_fd(),
                &mut [IoSliceMut::new(&mut text)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )?;
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    received.extend(descriptors);
                }
            }
            unread.extend(&text[..got.bytes]);
            Ok(got.bytes)
        });
        read.await
    }
}

const SPACE: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX));

fn line(message: &UpgradeMessage) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    fn pair() -> (Conversation, Conversation) {
        let (one, other) = UnixStream::pair().unwrap();
        (Conversation::new(one), Conversation::new(other))
    }

    #[tokio::test]
    async fn descriptors_arrive_with_their_names_and_are_the_same_files() {
        let (mut old, mut new) = pair();
        let mut file = tempfile::tempfile().unwrap();
        let holdings: Vec<Holding> = (0..DESCRIPTORS_MAX)
            .map(|n| Holding::Listener(([127, 0, 0, 1], n as u16).into()))
            .collect();
        let said = UpgradeMessage::Holdings {
            pid: 1,
            holdings,
            ready: BTreeMap::from([("web".to_owned(), 2)]),
            supervisor: Supervisor::default(),
            tickets: Vec::new(),
        };
        let descriptors = vec![file.as_fd(); DESCRIPTORS_MAX];
        old.send_with(&said, &descriptors).await.unwrap();
        old.send(&UpgradeMessage::Serving).await.unwrap();
        assert_eq!(new.receive().await.unwrap(), said);
        let received = new.received();
        assert_eq!(received.len(), DESCRIPTORS_MAX);
        assert_eq!(new.receive().await.unwrap(), UpgradeMessage::Serving);
        let mut copy = File::from(received.into_iter().next_back().unwrap());
        copy.write_all(b"from the other side").unwrap();
        file.rewind().unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "from the other side");
    }

    #[tokio::test]
    async fn thousands_of_services_are_handed_over() {
        let (mut old, mut new) = pair();
        let file = tempfile::tempfile().unwrap();
        let names = (0..5_000).map(|n| format!("{n:05}-{}", "x".repeat(57)));
        let counts: BTreeMap<String, u32> = names.clone().map(|name| (name, 1000)).collect();
        let holdings = UpgradeMessage::Holdings {
            pid: 1,
            holdings: vec![Holding::StateLock],
            ready: counts.clone(),
            supervisor: Supervisor::default(),
            tickets: Vec::new(),
        };
        let yours = UpgradeMessage::Yours {
            wanted: counts,
            by_hand: names.collect(),
        };
        let descriptors = [file.as_fd()];
        let said = async {
            old.send_with(&holdings, &descriptors).await.unwrap();
            old.send(&yours).await.unwrap();
        };
        let heard = async { [new.receive().await.unwrap(), new.receive().await.unwrap()] };
        let ((), heard) = tokio::join!(said, heard);
        assert_eq!(new.received().len(), 1);
        assert_eq!(heard, [holdings, yours]);
    }

    #[tokio::test]
    async fn nonsense_and_silence_are_errors() {
        let (mut old, mut new) = pair();
        new.stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert!(old.receive().await.is_err());
        let endless = vec![b'x'; MESSAGE_MAX_BYTES + READ_BYTES];
        let (_, heard) = tokio::join!(new.stream.write_all(&endless), async {
            let heard = old.receive().await;
            drop(old);
            heard
        });
        assert!(heard.is_err());
        assert!(new.receive().await.is_err());
        new.closed().await;
    }
}
