//! When the proxy accepts connections.

use async_trait::async_trait;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::task::Poll;
use tokio::sync::{oneshot, watch};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doors {
    /// Whoever connects waits in the kernel, or is let in by another process.
    Closed,
    Open,
    /// Another process lets them in now.
    HandedOver,
    /// Nobody is let in any more, because this process is about to end.
    Shut,
}

/// Waits for the doors to be `wanted`; for ever, when they never will be.
pub async fn are(doors: &mut watch::Receiver<Doors>, wanted: Doors) {
    are_any_of(doors, &[wanted]).await;
}

async fn are_any_of(doors: &mut watch::Receiver<Doors>, wanted: &[Doors]) {
    if doors
        .wait_for(|doors| wanted.contains(doors))
        .await
        .is_err()
    {
        std::future::pending::<()>().await;
    }
}

/// Resolves once the server is told to leave.
pub async fn over(shutdown: &mut ShutdownWatch) {
    // What it returns is a guard that must not live across an await.
    let _ = shutdown.wait_for(|over| *over).await;
}

/// The proxy behind doors, on listeners that are open already.
pub struct Entrance<S> {
    pub proxy: S,
    pub listeners: Vec<(SocketAddr, TcpListener)>,
    pub doors: watch::Receiver<Doors>,
    /// Is told when connections are accepted.
    pub accepting: Option<oneshot::Sender<()>>,
}

#[async_trait]
impl<S: Service> Service for Entrance<S> {
    async fn start_service(
        &mut self,
        fds: Option<ListenFds>,
        _shutdown: ShutdownWatch,
        listeners_per_fd: usize,
    ) {
        are(&mut self.doors, Doors::Open).await;
        if let Some(fds) = &fds {
            let mut fds = fds.lock();
            for (address, listener) in self.listeners.drain(..) {
                fds.add(address.to_string(), listener.into_raw_fd());
            }
        }
        let (stop, stopped) = watch::channel(false);
        let mut serving = self.proxy.start_service(fds, stopped, listeners_per_fd);
        // Its first step takes the listeners and begins to accept.
        if let Poll::Pending = futures_util::poll!(&mut serving)
            && let Some(accepting) = self.accepting.take()
        {
            let _ = accepting.send(());
        }
        tokio::select! {
            () = &mut serving => {}
            // The keeper says when, also after TERM.
            () = are_any_of(&mut self.doors, &[Doors::HandedOver, Doors::Shut]) => {
                // It would close idle connections at the end, and some of these are about to
                // send a request. It gets no further; who accepts is told to stop, and every
                // request from now on is its connection's last.
                drop(serving);
                stop.send_replace(true);
                std::future::pending::<()>().await;
            }
        }
    }

    fn name(&self) -> &str {
        self.proxy.name()
    }

    fn threads(&self) -> Option<usize> {
        self.proxy.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.proxy.listen_addresses()
    }
}
