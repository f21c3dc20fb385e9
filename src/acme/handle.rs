//! The way to the keeper of certificates.

use super::wanted::Wanted;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// Told to the keeper from outside.
pub enum Command {
    /// This process controls the containers, and hence orders.
    TakeControl,
    /// Another process orders from now on; answered once nothing is under way any more.
    Rest(oneshot::Sender<()>),
}

#[derive(Clone)]
pub struct CertificateHandle {
    wanted: watch::Sender<Arc<Wanted>>,
    commands: mpsc::Sender<Command>,
}

/// The keeper's end.
pub struct Orders {
    pub wanted: watch::Receiver<Arc<Wanted>>,
    pub commands: mpsc::Receiver<Command>,
}

pub fn handle(wanted: Wanted) -> (CertificateHandle, Orders) {
    let (sender, wanted) = watch::channel(Arc::new(wanted));
    let (command, commands) = mpsc::channel(4);
    let handle = CertificateHandle {
        wanted: sender,
        commands: command,
    };
    (handle, Orders { wanted, commands })
}

impl CertificateHandle {
    /// Passes a new configuration on.
    pub fn want(&self, wanted: Wanted) {
        self.wanted.send_if_modified(|current| {
            let changed = **current != wanted;
            if changed {
                *current = Arc::new(wanted);
            }
            changed
        });
    }

    /// Lets this process order. Without a keeper, nothing happens.
    pub async fn take_control(&self) {
        let _ = self.commands.send(Command::TakeControl).await;
    }

    /// Resolves once this process has stopped ordering; an order under way is left for the process
    /// that takes control.
    pub async fn rest(&self) {
        let (reply, rested) = oneshot::channel();
        if self.commands.send(Command::Rest(reply)).await.is_ok() {
            let _ = rested.await;
        }
    }
}
