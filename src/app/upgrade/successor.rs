//! Successors, as the running process sees them: one at a time may take over.

use super::handover::{Conversation, PROTOCOL, TakeOver, UpgradeMessage};
use crate::service::time::Human;
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Timeout of a successor's first message.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// Time for a successor to get ready once it has the holdings: its engine's first list, and ten
/// seconds of warming up. One that hangs must not keep others out for ever.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Timeout of a refusal, which fits into the socket's buffer.
const REFUSE_WITHIN: Duration = Duration::from_secs(1);
/// Pause after a failure to accept, as with too many open files.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The socket for successors. One at a time may be inside.
pub struct UpgradeSocket {
    listener: UnixListener,
    steps: JoinSet<Option<SuccessorStep>>,
    /// Process id of the successor inside, while there is one.
    inside: Weak<u32>,
    quit: watch::Sender<()>,
}

/// A process that wants to take over.
pub struct Successor {
    pub pid: u32,
    pub conversation: Conversation,
    when: TakeOver,
    /// Whether it has a supervisor of its own.
    pub supervised: bool,
    inside: Arc<u32>,
}

/// Next need of a successor.
pub enum Knock {
    /// The successor needs the holdings.
    Comes(Successor),
    /// The successor needs control.
    IsReady(Successor),
}

enum SuccessorStep {
    Greeted(Successor),
    Next(Knock),
}

impl UpgradeSocket {
    pub fn new(listener: StdUnixListener) -> io::Result<UpgradeSocket> {
        Ok(UpgradeSocket {
            listener: UnixListener::from_std(listener)?,
            steps: JoinSet::new(),
            inside: Weak::new(),
            quit: watch::channel(()).0,
        })
    }

    /// Passes QUIT on; false: no successor waits for it.
    pub fn quit(&self) -> bool {
        self.quit.send(()).is_ok()
    }

    /// The next successor that needs something. Cancel safe.
    pub async fn next(&mut self) -> Knock {
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => drop(self.steps.spawn(greet(stream))),
                    Err(error) => {
                        log::warn!("cannot accept a successor: {error}");
                        tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
                    }
                },
                Some(step) = self.steps.join_next() => match step {
                    Ok(Some(SuccessorStep::Greeted(successor))) => {
                        if let Some(successor) = self.let_in(successor) {
                            return Knock::Comes(successor);
                        }
                    }
                    Ok(Some(SuccessorStep::Next(knock))) => return knock,
                    Ok(None) | Err(_) => {}
                },
            }
        }
    }

    /// Returns the successor unless another one is inside, or it waits for QUIT.
    fn let_in(&mut self, successor: Successor) -> Option<Successor> {
        if let Some(pid) = self.inside.upgrade() {
            let why = format!("another process is about to take over already, process {pid}");
            self.steps.spawn(async move {
                successor.refuse(&why).await;
                None
            });
            return None;
        }
        self.inside = Arc::downgrade(&successor.inside);
        if successor.when == TakeOver::Now {
            return Some(successor);
        }
        log::info!("process {} takes over at QUIT", successor.pid);
        self.steps
            .spawn(wait_for_quit(successor, self.quit.subscribe()));
        None
    }

    /// Waits for a successor with its holdings to be ready.
    pub fn wait_for(&mut self, mut successor: Successor) {
        self.steps.spawn(async move {
            let pid = successor.pid;
            match timeout(READY_WITHIN, successor.conversation.receive()).await {
                Ok(Ok(UpgradeMessage::Ready)) => {
                    return Some(SuccessorStep::Next(Knock::IsReady(successor)));
                }
                Ok(_) => log::warn!("process {pid} does not take over after all; continuing"),
                Err(_) => {
                    let why = format!("it was not ready within {}", Human(READY_WITHIN));
                    log::warn!("process {pid} does not take over: {why}; continuing");
                    successor.refuse(&why).await;
                }
            }
            None
        });
    }
}

impl Successor {
    pub async fn refuse(mut self, why: &str) {
        let why = why.to_owned();
        let refusal = UpgradeMessage::Refused { why };
        let _ = timeout(REFUSE_WITHIN, self.conversation.send(&refusal)).await;
    }
}

async fn greet(stream: UnixStream) -> Option<SuccessorStep> {
    let mut conversation = Conversation::new(stream);
    let hello = timeout(HELLO_WITHIN, conversation.receive()).await;
    let Ok(Ok(UpgradeMessage::Hello {
        protocol,
        pid,
        when,
        supervised,
    })) = hello
    else {
        return None;
    };
    let successor = Successor {
        pid,
        conversation,
        when,
        supervised,
        inside: Arc::new(pid),
    };
    if protocol != PROTOCOL {
        let why = "these two versions of tidegate cannot hand over to each other: stop this one \
                   and start the other";
        successor.refuse(why).await;
        return None;
    }
    Some(SuccessorStep::Greeted(successor))
}

async fn wait_for_quit(
    mut successor: Successor,
    mut quit: watch::Receiver<()>,
) -> Option<SuccessorStep> {
    tokio::select! {
        quit = quit.changed() => quit.ok()?,
        () = successor.conversation.closed() => {
            log::info!("process {} does not wait for QUIT any more", successor.pid);
            return None;
        }
    }
    Some(SuccessorStep::Next(Knock::Comes(successor)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    async fn knock(path: &Path, pid: u32) -> Conversation {
        let mut conversation = Conversation::new(UnixStream::connect(path).await.unwrap());
        let hello = UpgradeMessage::Hello {
            protocol: PROTOCOL,
            pid,
            when: TakeOver::Now,
            supervised: false,
        };
        conversation.send(&hello).await.unwrap();
        conversation
    }

    /// The answer to a process outside, while the door does its work.
    async fn answer(door: &mut UpgradeSocket, outside: &mut Conversation) -> String {
        tokio::select! {
            _ = door.next() => panic!("nobody may come in"),
            heard = outside.receive() => match heard {
                Ok(UpgradeMessage::Refused { why }) => why,
                other => panic!("{other:?}"),
            },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_successor_that_hangs_keeps_others_out_for_a_minute_and_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upgrade.sock");
        let listener = StdUnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut door = UpgradeSocket::new(listener).unwrap();

        let mut hangs = knock(&path, 1).await;
        let Knock::Comes(successor) = door.next().await else {
            panic!("it has no holdings yet");
        };
        door.wait_for(successor);
        let mut second = knock(&path, 2).await;
        let why = answer(&mut door, &mut second).await;
        assert!(why.ends_with("take over already, process 1"), "{why}");
        let why = answer(&mut door, &mut hangs).await;
        assert_eq!(why, "it was not ready within 60s");

        let _third = knock(&path, 3).await;
        let Knock::Comes(successor) = door.next().await else {
            panic!("it has no holdings yet");
        };
        assert_eq!(successor.pid, 3);
    }
}
