//! What other tasks may ask of the control loop.

use crate::control::declared::Managed;
use crate::control::image_note::{ImageNote, Images};
use crate::service::replica::ReplicaId;
use crate::service::spec::{ServiceName, Slot};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// What other tasks may ask of the control loop.
pub(super) enum Command {
    /// Replaces the whole set of services.
    Reconfigure {
        services: Vec<Managed>,
        images: Images,
        done: oneshot::Sender<Vec<ImageNote>>,
    },
    /// Rolls out another image of a service, or what its image's name stands for now.
    Deploy {
        service: String,
        image: Option<String>,
        done: oneshot::Sender<Result<Deployed, String>>,
    },
    /// Holds this many replicas until told otherwise; `None`: as the policy decides.
    Scale {
        service: String,
        replicas: Option<u32>,
        done: oneshot::Sender<Result<u32, String>>,
    },
    /// Replaces the replica in this slot, without a gap.
    Drain {
        service: String,
        slot: Slot,
        done: oneshot::Sender<Result<ReplicaId, String>>,
    },
    /// Stops and removes every container, as after `run --rm`.
    RemoveAll { done: oneshot::Sender<()> },
    /// Lists the containers that are left, each with the reason.
    Left { done: oneshot::Sender<Vec<String>> },
    /// Answers, to show that it can.
    Answer { done: oneshot::Sender<()> },
    /// Changes what the loop may do to the world.
    Use {
        hands: Hands,
        /// How many replicas were wanted by whoever was in control until now.
        wanted: BTreeMap<ServiceName, u32>,
        done: oneshot::Sender<()>,
    },
}

/// What the loop may do to the world. Whatever it is, the loop lists, probes and publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hands {
    /// Nothing is started or stopped: another process is in control.
    Resting,
    /// No planned stops: another process may still have requests in any replica.
    Careful,
    Free,
}

/// What became of a wish to deploy something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployed {
    /// It is on its way; the version's name.
    Begun(String),
    /// It is what runs already.
    Runs(String),
}
