//! When the proxy accepts connections.

use crate::proxy::Acceptor;
use async_trait::async_trait;
use http::uri::Scheme;
use pingora::apps::HttpServerApp;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

/// Tasks that accept at each listener.
const ACCEPTING_TASKS: usize = 2;
/// Connections that wait to be accepted; the kernel's own limit is lower.
const BACKLOG: i32 = 65_535;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doors {
    /// Connections wait in the kernel, or another process accepts them.
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
    // The guard that comes back must not live across an await.
    let _ = shutdown.wait_for(|over| *over).await;
}

/// The proxy behind doors, on listeners that are open already.
///
/// A service of Pingora's server in its own right: Pingora's would bind the addresses itself, and
/// end idle connections when it stops.
pub struct Entrance<A> {
    pub acceptor: Arc<Acceptor<A>>,
    /// Runtime that serves the connections.
    pub workers: Handle,
    pub listeners: Vec<(Scheme, TcpListener)>,
    pub doors: watch::Receiver<Doors>,
    /// Is told when connections are accepted.
    pub accepting: Option<oneshot::Sender<()>>,
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> Service for Entrance<A> {
    async fn start_service(
        &mut self,
        _fds: Option<ListenFds>,
        _shutdown: ShutdownWatch,
        _listeners_per_fd: usize,
    ) {
        are(&mut self.doors, Doors::Open).await;
        let accepting = self.accepting.take();
        let listeners = {
            // A listener belongs to the runtime in which it is made.
            let _inside = self.workers.enter();
            let listeners: io::Result<Vec<_>> = self.listeners.drain(..).map(listen).collect();
            listeners
        };
        let listeners = match listeners {
            Ok(listeners) => listeners,
            Err(error) => return log::error!("cannot accept connections: {error}"),
        };
        let (stop, stopped) = watch::channel(false);
        for (scheme, listener) in listeners {
            let listener = Arc::new(listener);
            for _ in 0..ACCEPTING_TASKS {
                let (acceptor, listener) = (Arc::clone(&self.acceptor), Arc::clone(&listener));
                let accepting = acceptor.accept(listener, scheme.clone(), stopped.clone());
                self.workers.spawn(accepting);
            }
        }
        if let Some(accepting) = accepting {
            let _ = accepting.send(());
        }
        // The keeper says when, also after TERM.
        are_any_of(&mut self.doors, &[Doors::HandedOver, Doors::Shut]).await;
        // No more are accepted, and every request from now on is its connection's last. The
        // service goes on for as long as the process does: some idle connections are about to
        // send a request.
        stop.send_replace(true);
        std::future::pending::<()>().await;
    }

    fn name(&self) -> &str {
        "doors"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }
}

fn listen(
    (scheme, listener): (Scheme, TcpListener),
) -> io::Result<(Scheme, tokio::net::TcpListener)> {
    let socket = socket2::Socket::from(listener);
    // A supervisor, or the standard library, may have made it with room for few.
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((scheme, tokio::net::TcpListener::from_std(socket.into())?))
}
