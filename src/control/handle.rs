//! How other tasks ask the control loop.

use super::command::{Authority, Command, Deployed};
use super::declared::Managed;
use super::image_note::{ImageNote, Images};
use super::input::LoopInput;
use crate::service::replica::ReplicaId;
use crate::service::spec::{ServiceName, Slot};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Sends commands to a running loop.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<LoopInput>);

impl From<mpsc::Sender<LoopInput>> for Handle {
    fn from(sender: mpsc::Sender<LoopInput>) -> Handle {
        Handle(sender)
    }
}

impl Handle {
    /// Replaces the services and waits until the first snapshot with them is published.
    /// Returns the images that change, and those deployed by hand that stay.
    pub async fn reconfigure(&self, services: Vec<Managed>, images: Images) -> Vec<ImageNote> {
        let (done, finished) = oneshot::channel();
        let command = Command::Reconfigure {
            services,
            images,
            done,
        };
        let sent = self.0.send(LoopInput::Command(command)).await;
        match sent {
            Ok(()) => finished.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Rolls out `image`, or what the configured one's name stands for now. Returns when it has
    /// begun.
    pub async fn deploy(&self, service: String, image: Option<String>) -> Result<Deployed, String> {
        self.ask(|done| Command::Deploy {
            service,
            image,
            done,
        })
        .await
    }

    /// Holds this many replicas until told otherwise; `None`: as the policy decides. Returns how
    /// many are wanted now.
    pub async fn scale(&self, service: String, replicas: Option<u32>) -> Result<u32, String> {
        self.ask(|done| Command::Scale {
            service,
            replicas,
            done,
        })
        .await
    }

    /// Has the replica in this slot replaced. Returns which one it is.
    pub async fn drain(&self, service: String, slot: Slot) -> Result<ReplicaId, String> {
        self.ask(|done| Command::Drain {
            service,
            slot,
            done,
        })
        .await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Command,
    ) -> Result<T, String> {
        let (done, answer) = oneshot::channel();
        let leaving = || "the process is leaving".to_owned();
        let sent = self.0.send(LoopInput::Command(command(done))).await;
        sent.map_err(|_| leaving())?;
        answer.await.unwrap_or_else(|_| Err(leaving()))
    }

    /// Stops and removes every container of ours. Returns those that are left after `within`,
    /// each with the reason.
    pub async fn remove_all(&self, within: Duration) -> Vec<String> {
        let (done, finished) = oneshot::channel();
        let sent = self.0.send(LoopInput::Command(Command::RemoveAll { done }));
        if sent.await.is_err() || tokio::time::timeout(within, finished).await.is_ok() {
            return Vec::new();
        }
        let (done, left) = oneshot::channel();
        let sent = self
            .0
            .send(LoopInput::Command(Command::Left { done }))
            .await;
        match sent {
            Ok(()) => left.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }

    /// Resolves when the loop has come to this; never when it hangs.
    pub async fn answers(&self) {
        let (done, answer) = oneshot::channel();
        let sent = self
            .0
            .send(LoopInput::Command(Command::Answer { done }))
            .await;
        if sent.is_err() || answer.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Sets how much authority this process has. `ReadOnly` takes effect once nothing is under way
    /// any more; after it, a new listing comes before the next plan.
    pub async fn authorize(&self, authority: Authority, wanted: BTreeMap<ServiceName, u32>) {
        let (done, finished) = oneshot::channel();
        let command = Command::Authorize {
            authority,
            wanted,
            done,
        };
        if self.0.send(LoopInput::Command(command)).await.is_ok() {
            let _ = finished.await;
        }
    }
}
