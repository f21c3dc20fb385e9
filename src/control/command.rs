//! Requests of other tasks to the control loop.

use crate::control::declared::Managed;
use crate::control::image_note::{ImageNote, Images};
use crate::service::replica::ReplicaId;
use crate::service::spec::{ServiceName, Slot};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// A request of another task.
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
    /// Sets how much authority this process has.
    Authorize {
        authority: Authority,
        /// How many replicas the process in control until now wanted.
        wanted: BTreeMap<ServiceName, u32>,
        done: oneshot::Sender<()>,
    },
}

/// How much authority this process has over containers. In each case it lists, probes and
/// publishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Authority {
    /// Starts and stops nothing: another process is in control.
    ReadOnly,
    /// No planned stops: another process may still have requests in any replica.
    NoPlannedStops,
    Full,
}

/// Result of a deploy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deployed {
    /// Under way; the version's name.
    Begun(String),
    /// The version that runs already.
    Runs(String),
}
