//! What a process and its successor say to each other.
//!
//! They meet at the unix socket `upgrade.sock` in the state folder, where every running process
//! listens, and send one JSON message a line. Whatever only one process may hold travels as open
//! descriptors, so nothing is ever let go in between. `src/README.md` tells the whole story.

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

/// Both sides must speak the same one.
pub const PROTOCOL: u32 = 1;
/// The kernel passes no more than 253 at once.
const DESCRIPTORS_MAX: usize = 250;
/// A service is its name and a number: room for a hundred thousand of them.
const MESSAGE_MAX_BYTES: usize = 16 << 20;
const READ_BYTES: usize = 64 * 1024;

/// When a successor wants to take over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    Now,
    /// Once the running process gets QUIT.
    OnQuit,
}

/// Something that only one process may hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    Listener(SocketAddr),
    StateLock,
    /// One half of it, with the name that says which, and of what.
    InstanceLock(String),
}

#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// The successor knocks.
    Hello {
        protocol: u32,
        pid: u32,
        when: When,
        /// It has a supervisor of its own.
        #[serde(default)]
        supervised: bool,
    },
    /// The running process says no, and goes on.
    Refused { why: String },
    /// Comes with a descriptor for each of `holdings`, and with how many replicas of each
    /// service are ready.
    Holdings {
        pid: u32,
        holdings: Vec<Holding>,
        ready: BTreeMap<String, u32>,
        /// Whom the successor is to tell how it is doing.
        #[serde(default)]
        supervisor: Supervisor,
    },
    /// The successor has everything that it needs.
    Ready,
    /// The running process controls no containers any more; so many replicas were wanted, of
    /// some services because somebody said so.
    Yours {
        wanted: BTreeMap<String, u32>,
        #[serde(default)]
        by_hand: BTreeSet<String>,
    },
    /// The successor accepts connections.
    Serving,
}

/// One side of it.
pub struct Conversation {
    stream: UnixStream,
    unread: Vec<u8>,
    /// How much of `unread` is known to have no end of a line.
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

    /// Out of one runtime and into another.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.stream.into_std()
    }

    pub async fn say(&mut self, message: &Message) -> io::Result<()> {
        self.stream.write_all(&line(message)?).await
    }

    /// Says it and passes `descriptors` along.
    pub async fn pass(
        &mut self,
        message: &Message,
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
    pub async fn hear(&mut self) -> io::Result<Message> {
        loop {
            if let Some(end) = memchr(b'\n', &self.unread[self.searched..]) {
                let rest = self.unread.split_off(self.searched + end + 1);
                self.searched = 0;
                let line = std::mem::replace(&mut self.unread, rest);
                return serde_json::from_slice(&line).map_err(io::Error::from);
            }
            self.searched = self.unread.len();
            if self.unread.len() > MESSAGE_MAX_BYTES {
                return Err(io::Error::other("it talks too much"));
            }
            if self.read().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The descriptors that came with what was heard until now.
    pub fn received(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.received)
    }

    /// Resolves when the other side has hung up, as its process does when it ends.
    pub async fn hung_up(&mut self) {
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

fn line(message: &Message) -> io::Result<Vec<u8>> {
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
        let said = Message::Holdings {
            pid: 1,
            holdings,
            ready: BTreeMap::from([("web".to_owned(), 2)]),
            supervisor: Supervisor::default(),
        };
        let descriptors = vec![file.as_fd(); DESCRIPTORS_MAX];
        old.pass(&said, &descriptors).await.unwrap();
        old.say(&Message::Serving).await.unwrap();
        assert_eq!(new.hear().await.unwrap(), said);
        let received = new.received();
        assert_eq!(received.len(), DESCRIPTORS_MAX);
        assert_eq!(new.hear().await.unwrap(), Message::Serving);
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
        let holdings = Message::Holdings {
            pid: 1,
            holdings: vec![Holding::StateLock],
            ready: counts.clone(),
            supervisor: Supervisor::default(),
        };
        let yours = Message::Yours {
            wanted: counts,
            by_hand: names.collect(),
        };
        let descriptors = [file.as_fd()];
        let said = async {
            old.pass(&holdings, &descriptors).await.unwrap();
            old.say(&yours).await.unwrap();
        };
        let heard = async { [new.hear().await.unwrap(), new.hear().await.unwrap()] };
        let ((), heard) = tokio::join!(said, heard);
        assert_eq!(new.received().len(), 1);
        assert_eq!(heard, [holdings, yours]);
    }

    #[tokio::test]
    async fn nonsense_and_silence_are_errors() {
        let (mut old, mut new) = pair();
        new.stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert!(old.hear().await.is_err());
        let endless = vec![b'x'; MESSAGE_MAX_BYTES + READ_BYTES];
        let (_, heard) = tokio::join!(new.stream.write_all(&endless), async {
            let heard = old.hear().await;
            drop(old);
            heard
        });
        assert!(heard.is_err());
        assert!(new.hear().await.is_err());
        new.hung_up().await;
    }
}
