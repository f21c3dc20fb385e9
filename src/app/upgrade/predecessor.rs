//! The running process, as its successor sees it.

use super::handover::{Conversation, Holding, PROTOCOL, TakeOver, UpgradeMessage};
use super::ticket::HandedTicketKey;
use crate::app::start_error::{StartError, system};
use crate::app::supervisor::Supervisor;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;

/// Timeout of the running process's answer; with `--upgrade=on-quit` that comes after QUIT.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The process that runs until this one takes over.
pub struct Predecessor {
    pub pid: u32,
    /// Ready replicas by service.
    pub ready: BTreeMap<String, u32>,
    /// Its supervisor.
    pub supervisor: Supervisor,
    /// Its keys of session tickets.
    pub tickets: Vec<HandedTicketKey>,
    stream: StdUnixStream,
}

/// The predecessor within a runtime.
pub struct LivePredecessor {
    pub pid: u32,
    conversation: Conversation,
}

/// Holdings that it passed.
pub type Handed = Vec<(Holding, OwnedFd)>;

/// Asks the running process of this state folder for its holdings; `None`: there is none.
/// `supervised`: this process has a supervisor of its own.
pub fn ask(
    state_dir: &Path,
    when: TakeOver,
    supervised: bool,
) -> Result<Option<(Predecessor, Handed)>, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let path = state_dir.join("upgrade.sock");
    runtime.block_on(async {
        let stream = match UnixStream::connect(&path).await {
            Ok(stream) => stream,
            Err(error) => {
                use io::ErrorKind::{ConnectionRefused, NotFound};
                if [NotFound, ConnectionRefused].contains(&error.kind()) {
                    let folder = state_dir.display();
                    log::info!(
                        "no running Tidegate in {folder} to take over from: starting as usual"
                    );
                    return Ok(None);
                }
                let path = path.display();
                return Err(system(&format!("cannot take over at {path}: {error}")));
            }
        };
        let answer = meet(Conversation::new(stream), when, supervised).await;
        answer.map(Some).map_err(|why| not_taken_over(&why))
    })
}

async fn meet(
    mut conversation: Conversation,
    when: TakeOver,
    supervised: bool,
) -> Result<(Predecessor, Handed), String> {
    let hello = UpgradeMessage::Hello {
        protocol: PROTOCOL,
        pid: std::process::id(),
        when,
        supervised,
    };
    let said = conversation.send(&hello).await;
    said.map_err(|error| left(&error))?;
    let answer = match when {
        TakeOver::Now => tokio::time::timeout(ANSWER_WITHIN, conversation.receive())
            .await
            .map_err(|_| format!("the running process did not answer within {ANSWER_WITHIN:?}"))?,
        TakeOver::OnQuit => {
            log::info!("waiting until the running process gets QUIT");
            conversation.receive().await
        }
    };
    let (pid, holdings, ready, supervisor, tickets) = match answer {
        Ok(UpgradeMessage::Holdings {
            pid,
            holdings,
            ready,
            supervisor,
            tickets,
        }) => (pid, holdings, ready, supervisor, tickets),
        Ok(UpgradeMessage::Refused { why }) => return Err(why),
        Ok(other) => {
            return Err(format!(
                "unexpected answer of the running process: {other:?}"
            ));
        }
        Err(error) => return Err(left(&error)),
    };
    let descriptors = conversation.received();
    if descriptors.len() != holdings.len() {
        return Err("not every socket arrived".to_owned());
    }
    log::info!("taking over from process {pid}");
    let predecessor = Predecessor {
        pid,
        ready,
        supervisor,
        tickets,
        stream: conversation.into_std().map_err(|error| left(&error))?,
    };
    Ok((predecessor, holdings.into_iter().zip(descriptors).collect()))
}

impl Predecessor {
    pub fn talk(self) -> io::Result<LivePredecessor> {
        Ok(LivePredecessor {
            pid: self.pid,
            conversation: Conversation::new(UnixStream::from_std(self.stream)?),
        })
    }
}

impl LivePredecessor {
    /// Asks for control; returns the desired counts, and the services whose count was set by hand.
    pub async fn ready(&mut self) -> Result<(BTreeMap<String, u32>, BTreeSet<String>), String> {
        let said = self.conversation.send(&UpgradeMessage::Ready).await;
        said.map_err(|error| left(&error))?;
        match self.conversation.receive().await {
            Ok(UpgradeMessage::Yours { wanted, by_hand }) => Ok((wanted, by_hand)),
            Ok(UpgradeMessage::Refused { why }) => Err(why),
            Ok(other) => Err(format!(
                "unexpected answer of the running process: {other:?}"
            )),
            Err(error) => Err(left(&error)),
        }
    }

    /// Tells it that it may leave; it may be gone already.
    pub async fn serving(&mut self) {
        let _ = self.conversation.send(&UpgradeMessage::Serving).await;
    }

    /// Resolves when its process has ended.
    pub async fn gone(&mut self) {
        self.conversation.closed().await;
    }
}

pub fn not_taken_over(why: &str) -> StartError {
    StartError::System(format!("not taken over: {why}"))
}

fn left(error: &io::Error) -> String {
    format!("the running process left without handing over ({error})")
}
