//! The interface of engines: calls, and failures as data.

use crate::service::replica::{Observed, ReplicaId};
use crate::service::spec::{ImageId, Pull, Slot, Spec};
use crate::service::usage::Usage;
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use std::fmt;
use std::time::Duration;

/// An engine, which runs replicas. Every call ends: what may hang has a deadline in the engine, which knows how long each step
/// may take. The control loop has none of its own.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Every replica that is ours, of whatever service, in whatever state. One whose start has
    /// not returned yet may show as nothing, as created or as running.
    async fn observe(&self) -> Result<Vec<Observed>, EngineError>;

    /// Sees to it that the image is on the machine, which takes as long as a pull; everybody who
    /// asks for the same one meanwhile shares that pull.
    async fn fetch_image(&self, spec: &Spec) -> Result<(), EngineError>;

    /// Makes and starts one replica from an image that is on the machine. When it fails, nothing
    /// is left behind, if the engine can be reached for that.
    async fn start(
        &self,
        spec: &Spec,
        slot: Slot,
        generation: u64,
    ) -> Result<ReplicaId, EngineError>;

    /// What the image's name stands for, which a deploy pins.
    async fn resolve(&self, image: &str, pull: Pull) -> Result<ImageId, EngineError>;

    /// The last lines that the replica has written, oldest first; none when they cannot be had.
    async fn last_words(&self, id: &ReplicaId) -> Vec<String>;

    /// What the replica uses of its machine.
    async fn usage(&self, id: &ReplicaId) -> Result<Usage, EngineError> {
        Err(EngineError {
            kind: ErrorKind::Failed,
            op: "measure a replica",
            message: format!("this engine does not measure; nothing is known of {id}"),
        })
    }

    /// Freezes the replica as it is: it keeps its memory and its port, and gets no processor time.
    /// One that is frozen already is a success.
    async fn pause(&self, id: &ReplicaId) -> Result<(), EngineError> {
        Err(EngineError {
            kind: ErrorKind::Failed,
            op: "pause a replica",
            message: format!("this engine does not pause; {id} runs on"),
        })
    }

    /// Lets a frozen replica run again. One that runs already is a success.
    async fn resume(&self, id: &ReplicaId) -> Result<(), EngineError> {
        Err(EngineError {
            kind: ErrorKind::Failed,
            op: "resume a replica",
            message: format!("this engine does not pause; nothing is known of {id}"),
        })
    }

    /// Asks the replica to end, ends it by force after `grace`, removes it. One that is paused
    /// runs again for that, unless `grace` is zero. A replica that is
    /// already gone is a success.
    async fn stop(&self, id: &ReplicaId, grace: Duration) -> Result<(), EngineError>;

    /// Says "look again" whenever something may have changed. Reconnects for ever and never
    /// ends; after a reconnection it says so once, because anything may have happened.
    fn changes(&self) -> BoxStream<'static, ()>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    pub kind: ErrorKind,
    /// What was attempted, as in "create the container".
    pub op: &'static str,
    /// What went wrong and what to do about it.
    pub message: String,
}

/// What the planner needs to know of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The host port belongs to somebody else: try another slot.
    PortTaken,
    /// No answer, or the engine may not be spoken to. A listing tells whether that is the
    /// engine's failure or this one call's.
    Unreachable,
    /// Anything else; may succeed later, so it is tried again with back-off.
    Failed,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op, self.message)
    }
}

impl std::error::Error for EngineError {}
