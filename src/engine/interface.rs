//! The interface of engines: calls, and failures as data.

use super::world::{Abilities, Place, World};
use crate::service::replica::ReplicaId;
use crate::service::spec::{ImageId, Pull, Slot, Spec};
use crate::service::usage::Usage;
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use std::fmt;
use std::time::Duration;

/// An engine, which runs replicas. Every call ends: the engine knows how long each step may take and
/// has a deadline for it. The control loop has none of its own.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// The world as it is. A replica whose start has not returned yet may be missing, created or
    /// running.
    async fn observe(&self) -> Result<World, EngineError>;

    /// Calls that this engine knows; none of the others is made.
    fn can(&self) -> Abilities {
        Abilities {
            pause: false,
            usage: false,
        }
    }

    /// Pulls the image unless it is on the machine. Calls for the same image share one pull.
    async fn fetch_image(&self, spec: &Spec) -> Result<(), EngineError>;

    /// Creates and starts one replica at a place, from an image that is there. A failure leaves
    /// nothing behind, if the engine can be reached for that.
    async fn start(
        &self,
        spec: &Spec,
        slot: Slot,
        generation: u64,
        place: &Place,
    ) -> Result<ReplicaId, EngineError>;

    /// Id of the content that the name of an image stands for, which a deploy pins.
    async fn resolve(&self, image: &str, pull: Pull) -> Result<ImageId, EngineError>;

    /// The last lines of the replica's log, oldest first; none when it cannot be read.
    async fn last_logs(&self, id: &ReplicaId) -> Vec<String>;

    /// Processor time and memory of the replica.
    async fn usage(&self, id: &ReplicaId) -> Result<Usage, EngineError> {
        Err(EngineError {
            kind: ErrorKind::Failed,
            op: "measure a replica",
            message: format!("this engine does not measure; nothing is known of {id}"),
        })
    }

    /// Pauses the replica: it keeps its memory and its port, and gets no processor time. Succeeds for
    /// one that is paused.
    async fn pause(&self, id: &ReplicaId) -> Result<(), EngineError> {
        Err(EngineError {
            kind: ErrorKind::Failed,
            op: "pause a replica",
            message: format!("this engine does not pause; {id} runs on"),
        })
    }

    /// Resumes a paused replica. Succeeds for one that runs.
    async fn resume(&self, id: &ReplicaId) -> Result<(), EngineError> {
        Err(EngineError {
            kind: ErrorKind::Failed,
            op: "resume a replica",
            message: format!("this engine does not pause; nothing is known of {id}"),
        })
    }

    /// Stops the replica, kills it after `grace`, and removes it. A paused one is resumed first,
    /// unless `grace` is zero. Succeeds for one that is gone.
    async fn stop(&self, id: &ReplicaId, grace: Duration) -> Result<(), EngineError>;

    /// An item whenever something may have changed. The stream reconnects and never ends; each
    /// reconnection is an item, because events may have been missed.
    fn changes(&self) -> BoxStream<'static, ()>;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    pub kind: ErrorKind,
    /// The attempted operation, as in "create the container".
    pub op: &'static str,
    /// The failure, and what to do about it.
    pub message: String,
}

/// Kind of a failure, which decides what the planner does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Another program has the host port: the planner tries another slot.
    PortTaken,
    /// No answer, or no permission to use the engine. A listing tells whether the engine is away or
    /// only this call failed.
    Unreachable,
    /// Any other failure; the call is repeated with back-off.
    Failed,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.op, self.message)
    }
}

impl std::error::Error for EngineError {}
