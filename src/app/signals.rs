//! Signals that end the process, and handlers for those that must not.

use super::exit::exit;
use super::start_error::{StartError, system};
use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Installs handlers for HUP, USR1 and QUIT, which would end the process otherwise.
pub fn install_signal_handlers() -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system(&error))?;
    let _inside = runtime.enter();
    for kind in [
        SignalKind::hangup(),
        SignalKind::user_defined1(),
        SignalKind::quit(),
    ] {
        // The handler outlives its stream.
        drop(signal(kind).map_err(|error| system(&error))?);
    }
    Ok(())
}

/// Ends the proxy at the first TERM or INT, and the process at an INT after that.
///
/// Signals are received on a thread of their own, because Pingora's sleeps while it waits for the end.
pub struct Signals(watch::Receiver<bool>);

impl Signals {
    pub fn listen() -> std::io::Result<Signals> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (mut term, mut int) = {
            let _inside = runtime.enter();
            (
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
            )
        };
        let (leave, leaving) = watch::channel(false);
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = term.recv() => log::info!("TERM: finishing requests in flight"),
                        _ = int.recv() => {
                            if *leave.borrow() {
                                exit(130);
                            }
                            log::info!("INT: finishing requests in flight; a second INT ends at once");
                        }
                    }
                    leave.send_replace(true);
                }
            });
        });
        Ok(Signals(leaving))
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let _ = self.0.clone().wait_for(|leaving| *leaving).await;
        ShutdownSignal::GracefulTerminate
    }
}
