//! Accepting connections, and the steps of each until its protocol begins.
//!
//! The place comes first, so that a connection that never says anything counts, too. A connection
//! that gets none has its status written to it and costs no task beyond that.

use super::connection::Connection;
use super::goodbye::Goodbyes;
use super::guarded::Guarded;
use super::places::{Connected, Full, Places};
use super::proxy_header;
use super::secure::secure;
use super::stream::ClientStream;
use super::wire::Wire;
use super::words;
use crate::proxy::edge::{Edge, Tell};
use crate::proxy::request::forwarded::Peer;
use crate::proxy::settings::Settings;
use crate::proxy::tls::{HandshakeCounts, Handshakes, Unfinished};
use crate::proxy::ways::session;
use crate::service::event::{Barrier, Event};
use crate::service::network::any_contains;
use arc_swap::ArcSwap;
use http::uri::Scheme;
use nix::errno::Errno;
use pingora::apps::HttpServerApp;
use pingora::server::ShutdownWatch;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// Pause after an error that would come again at once, because something has run out.
const EXHAUSTED_PAUSE: Duration = Duration::from_secs(1);

/// Lets connections in to `app`, as many as there is place for.
pub struct Acceptor<A> {
    app: Arc<A>,
    edge: Edge,
    settings: Arc<ArcSwap<Settings>>,
    places: Arc<Places>,
    goodbyes: Goodbyes,
    handshakes: Handshakes,
    tell: Tell,
}

/// Reason for which a connection is not let in.
enum Refused {
    Full(Full),
    /// Closed without a word.
    Silently(Barrier),
}

impl<A> Acceptor<A> {
    pub fn new(app: A, edge: Edge, settings: Arc<ArcSwap<Settings>>, tell: Tell) -> Acceptor<A> {
        Acceptor {
            app: Arc::new(app),
            edge,
            settings,
            places: Arc::default(),
            goodbyes: Goodbyes::default(),
            handshakes: Handshakes::default(),
            tell,
        }
    }

    pub fn connected(&self) -> Connected {
        Connected::of(&self.places)
    }

    pub fn handshakes(&self) -> Arc<HandshakeCounts> {
        Arc::clone(&self.handshakes.counts)
    }

    /// Takes a place for a connection.
    fn admit(
        &self,
        peer: SocketAddr,
        local: SocketAddr,
        settings: &Settings,
    ) -> Result<Wire, Refused> {
        let client = peer.ip().to_canonical();
        let is_trusted = any_contains(&settings.trusted_proxies, client);
        if !is_trusted && settings.bounds.has_proxy_header(local) {
            // Its header could only be a client's word.
            return Err(Refused::Silently(Barrier::Untrusted));
        }
        // A trusted proxy carries many clients.
        let counted = (!is_trusted).then_some(client);
        let place = self.places.take(counted, &settings.bounds);
        Ok(Wire::new(client, local, place.map_err(Refused::Full)?))
    }

    fn refuse(&self, stream: TcpStream, refused: Refused) {
        let reason = match &refused {
            Refused::Full(full) => full.barrier(),
            Refused::Silently(reason) => *reason,
        };
        (self.tell)(&Event::TurnedAway { reason });
        if let Refused::Full(full) = refused
            && let Some(goodbye) = self.goodbyes.begin()
        {
            tokio::spawn(goodbye.say(stream, words::of(full.status())));
        }
    }
}

/// Reads a PROXY header, and counts the connection for the client that it names.
async fn identify(
    stream: &mut TcpStream,
    wire: &mut Wire,
    settings: &Settings,
) -> Result<(), Refused> {
    let bounds = &settings.bounds;
    let read = timeout(bounds.header_timeout, proxy_header::read(stream)).await;
    let Ok(Ok(named)) = read else {
        return Err(Refused::Silently(Barrier::ProxyHeader));
    };
    let Some(client) = named.map(|named| named.ip().to_canonical()) else {
        return Ok(());
    };
    if !any_contains(&settings.trusted_proxies, client) {
        wire.count_for(client, bounds).map_err(Refused::Full)?;
    }
    wire.peer = Peer::from(client);
    Ok(())
}

impl<A: HttpServerApp + Send + Sync + 'static> Acceptor<A> {
    /// Accepts connections until `shutdown` says so, and serves each in a task of its own; with
    /// [`Scheme::HTTPS`] they begin with TLS.
    pub async fn accept(
        self: Arc<Self>,
        listener: Arc<TcpListener>,
        scheme: Scheme,
        shutdown: ShutdownWatch,
    ) {
        let mut stop = shutdown.clone();
        let mut stop = pin!(stop.wait_for(|stop| *stop));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = &mut stop => return,
            };
            match accepted {
                Ok((stream, peer)) => self.receive(stream, peer, &scheme, &shutdown),
                Err(error) => {
                    log::error!("cannot accept a connection: {error}");
                    if has_run_out(&error) {
                        sleep(EXHAUSTED_PAUSE).await;
                    }
                }
            }
        }
    }

    fn receive(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        scheme: &Scheme,
        shutdown: &ShutdownWatch,
    ) {
        let local = match stream.set_nodelay(true).and_then(|()| stream.local_addr()) {
            Ok(local) => local,
            Err(error) => return log::debug!("a connection broke as it was accepted: {error}"),
        };
        let settings = self.settings.load_full();
        match self.admit(peer, local, &settings) {
            Ok(wire) => {
                let (acceptor, shutdown) = (Arc::clone(self), shutdown.clone());
                let is_secure = *scheme == Scheme::HTTPS;
                tokio::spawn(async move {
                    let opened = acceptor.open(stream, wire, settings, is_secure, &shutdown);
                    opened.await;
                });
            }
            Err(refused) => self.refuse(stream, refused),
        }
    }

    /// Takes a connection that has a place through the other steps, and serves it.
    async fn open(
        &self,
        mut stream: TcpStream,
        mut wire: Wire,
        settings: Arc<Settings>,
        is_secure: bool,
        shutdown: &ShutdownWatch,
    ) {
        if settings.bounds.has_proxy_header(wire.local) {
            // In a box that is gone before the protocol begins.
            let identified = Box::pin(identify(&mut stream, &mut wire, &settings)).await;
            if let Err(refused) = identified {
                drop(wire);
                return self.refuse(stream, refused);
            }
        }
        if !is_secure {
            let stream = ClientStream::Clear(stream);
            return self.serve(stream, wire, settings, shutdown).await;
        }
        match secure(stream, &mut wire, &settings, &self.handshakes).await {
            Ok(stream) => self.serve(stream, wire, settings, shutdown).await,
            Err(Unfinished::Over(why)) => log::debug!("a handshake failed: {why}"),
            Err(Unfinished::PlainHttp(stream)) => {
                drop(wire);
                if let Some(goodbye) = self.goodbyes.begin() {
                    goodbye.say(stream, words::plain_http()).await;
                }
            }
        }
    }

    async fn serve(
        &self,
        stream: ClientStream,
        wire: Wire,
        settings: Arc<Settings>,
        shutdown: &ShutdownWatch,
    ) {
        let connection = Arc::new(Connection::new(wire));
        let wire = Arc::clone(&connection.wire);
        let guarded = Box::new(Guarded::new(stream, connection, settings));
        let mut serving = pin!(session::serve(&self.edge, &self.app, guarded, shutdown));
        // The stream ends the connection in the midst of being polled from here.
        poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Pending if !wire.is_over() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }
}

fn has_run_out(error: &io::Error) -> bool {
    let exhausted = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    let code = error.raw_os_error();
    code.is_some_and(|code| exhausted.contains(&Errno::from_raw(code)))
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
