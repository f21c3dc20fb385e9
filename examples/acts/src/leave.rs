//! Leaving when asked: SIGTERM, or Ctrl-C in a terminal.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::drill::LONGEST_SLEEP;

/// Longer than any answer may take, so only a client that never finishes its request is cut off.
const LONGEST_STAY: Duration = LONGEST_SLEEP.saturating_add(Duration::from_secs(5));

pub struct Leave(watch::Receiver<bool>);

impl Leave {
    pub fn on_signal() -> io::Result<Self> {
        let mut term = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            tell.send_replace(true);
        });
        Ok(Self(told))
    }

    /// Resolves once the process was asked to leave.
    pub fn asked(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut told = self.0.clone();
        async move {
            let _ = told.wait_for(|asked| *asked).await;
        }
    }

    /// Resolves when everything in flight had its time.
    pub async fn overdue(&self) {
        self.asked().await;
        tokio::time::sleep(LONGEST_STAY).await;
    }
}
