//! The running process's side of an upgrade: who knocks, and who may come in.

use super::handover::{Conversation, Message, PROTOCOL, When};
use std::io;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Whoever knocks says this soon what it wants.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// A door that cannot be opened (too many open files) is tried again after this.
const ACCEPT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// The door at which successors knock. One at a time may come in.
pub struct Door {
    listener: UnixListener,
    steps: JoinSet<Option<Step>>,
    /// Alive while a successor is inside.
    inside: Weak<()>,
    quit: watch::Sender<()>,
}

/// A process that wants to take over.
pub struct Successor {
    pub pid: u32,
    pub conversation: Conversation,
    when: When,
    /// By somebody of its own.
    pub supervised: bool,
    inside: Arc<()>,
}

/// What a successor needs next.
pub enum Knock {
    /// To be given the holdings.
    Comes(Successor),
    /// To be given control.
    IsReady(Successor),
}

enum Step {
    Greeted(Successor),
    Next(Knock),
}

impl Door {
    pub fn new(listener: StdUnixListener) -> io::Result<Door> {
        Ok(Door {
            listener: UnixListener::from_std(listener)?,
            steps: JoinSet::new(),
            inside: Weak::new(),
            quit: watch::channel(()).0,
        })
    }

    /// QUIT was sent; false when nobody waits for it.
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
                        log::warn!("a successor could not be let in: {error}");
                        tokio::time::sleep(ACCEPT_RETRY_AFTER).await;
                    }
                },
                Some(step) = self.steps.join_next() => match step {
                    Ok(Some(Step::Greeted(successor))) => {
                        if let Some(successor) = self.let_in(successor) {
                            return Knock::Comes(successor);
                        }
                    }
                    Ok(Some(Step::Next(knock))) => return knock,
                    Ok(None) | Err(_) => {}
                },
            }
        }
    }

    /// Returns the successor unless somebody else is inside, or it waits for QUIT.
    fn let_in(&mut self, successor: Successor) -> Option<Successor> {
        if self.inside.strong_count() > 0 {
            let why = "another process is about to take over already";
            self.steps.spawn(async move {
                successor.refuse(why).await;
                None
            });
            return None;
        }
        self.inside = Arc::downgrade(&successor.inside);
        if successor.when == When::Now {
            return Some(successor);
        }
        log::info!("process {} takes over at QUIT", successor.pid);
        self.steps
            .spawn(wait_for_quit(successor, self.quit.subscribe()));
        None
    }

    /// Lets a successor that was given the holdings get ready.
    pub fn wait_for(&mut self, mut successor: Successor) {
        self.steps.spawn(async move {
            match successor.conversation.hear().await {
                Ok(Message::Ready) => Some(Step::Next(Knock::IsReady(successor))),
                _ => {
                    let pid = successor.pid;
                    log::warn!("process {pid} does not take over after all; going on");
                    None
                }
            }
        });
    }
}

impl Successor {
    pub async fn refuse(mut self, why: &str) {
        let why = why.to_owned();
        let _ = self.conversation.say(&Message::Refused { why }).await;
    }
}

async fn greet(stream: UnixStream) -> Option<Step> {
    let mut conversation = Conversation::new(stream);
    let hello = tokio::time::timeout(HELLO_WITHIN, conversation.hear()).await;
    let Ok(Ok(Message::Hello {
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
        inside: Arc::new(()),
    };
    if protocol != PROTOCOL {
        let why = "these two versions of tidegate cannot hand over to each other: stop this one \
                   and start the other";
        successor.refuse(why).await;
        return None;
    }
    Some(Step::Greeted(successor))
}

async fn wait_for_quit(mut successor: Successor, mut quit: watch::Receiver<()>) -> Option<Step> {
    tokio::select! {
        quit = quit.changed() => quit.ok()?,
        () = successor.conversation.hung_up() => {
            log::info!("process {} does not wait for QUIT any more", successor.pid);
            return None;
        }
    }
    Some(Step::Next(Knock::Comes(successor)))
}
