//! What happens to a client's connection before and below its requests.
//!
//! Pingora reads a head before it calls any hook, and gives each byte of it as much time as the
//! whole should have. So its parser reads through a stream of ours, which knows in which part of
//! a request the connection is: the parser's end tells it when a request begins, and the hooks
//! tell it the rest.

mod guarded;
mod pace;
mod places;
mod proxy_header;
mod words;

use super::{Edge, Settings, lean};
use crate::service::network::any_contains;
use arc_swap::ArcSwap;
use async_trait::async_trait;
pub use guarded::Guarded;
pub use pace::Alarm;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::prelude::Session;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use places::{Full, Place, Places};
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long somebody may take to read that there is no place. Closing at once could reset the
/// connection before it is read.
const GOODBYE: Duration = Duration::from_millis(500);
/// So many may be taking their time over it at once; the others are closed without a word.
const GOODBYES_MAX: u32 = 256;
/// What is read of somebody who is on the way out.
const GOODBYE_BYTES: usize = 4 << 10;

/// What a connection may cost.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub connections: u32,
    pub connections_per_address: u32,
    /// For a whole head, and for a PROXY header before it.
    pub header_timeout: Duration,
    /// Bytes a second that a client must send of a body and take of an answer, all in all; 0 is
    /// no such limit.
    pub min_rate_bytes: u64,
    /// Where trusted proxies begin with a PROXY header.
    pub proxy_protocol: Vec<SocketAddr>,
}

/// Lets connections in to `app`, as many as there is place for.
pub struct Front<A> {
    app: Arc<A>,
    edge: Edge,
    settings: Arc<ArcSwap<Settings>>,
    places: Arc<Places>,
    goodbyes: Arc<AtomicU32>,
}

impl<A> Front<A> {
    pub fn new(app: A, edge: Edge, settings: Arc<ArcSwap<Settings>>) -> Front<A> {
        Front {
            app: Arc::new(app),
            edge,
            settings,
            places: Arc::default(),
            goodbyes: Arc::default(),
        }
    }

    /// A place for a connection, and whose it is. `None`: it has been told that there is none.
    async fn let_in(
        &self,
        stream: &mut Stream,
        settings: &Settings,
    ) -> Option<(Place, Option<IpAddr>)> {
        let bounds = &settings.bounds;
        let ends = stream.get_socket_digest();
        let address = |address: Option<&pingora::protocols::l4::socket::SocketAddr>| {
            address.and_then(|address| address.as_inet()).copied()
        };
        let peer = address(ends.as_deref().and_then(|ends| ends.peer_addr()));
        let peer = peer.map(|peer| peer.ip().to_canonical());
        let here = address(ends.as_deref().and_then(|ends| ends.local_addr()));
        let is_trusted = |peer: IpAddr| any_contains(&settings.trusted_proxies, peer);

        let mut client = peer;
        if here.is_some_and(|here| is_listed(&bounds.proxy_protocol, here)) {
            // One who may not say it is not heard either: it could only be a client's word.
            if !peer.is_some_and(is_trusted) {
                return None;
            }
            let read = timeout(bounds.header_timeout, proxy_header::read(stream)).await;
            match read {
                Ok(Ok(Some(named))) => client = Some(named.ip().to_canonical()),
                Ok(Ok(None)) => {}
                Ok(Err(_)) | Err(_) => return None,
            }
        }
        // A trusted proxy carries many clients.
        let counted = client.filter(|client| !is_trusted(*client));
        match self.places.take(counted, bounds) {
            Ok(place) => Some((place, client)),
            Err(full) => {
                self.turn_away(stream, full).await;
                None
            }
        }
    }

    async fn turn_away(&self, stream: &mut Stream, full: Full) {
        if self.goodbyes.fetch_add(1, Ordering::Relaxed) < GOODBYES_MAX {
            let goodbye = async {
                stream.write_all(&words::of(full.status())).await?;
                stream.flush().await?;
                AsyncWriteExt::shutdown(stream).await?;
                let mut rest = [0; GOODBYE_BYTES];
                let mut left = GOODBYE_BYTES;
                while left > 0 {
                    match stream.read(&mut rest).await? {
                        0 => break,
                        count => left = left.saturating_sub(count),
                    }
                }
                Ok::<(), std::io::Error>(())
            };
            let _ = timeout(GOODBYE, goodbye).await;
        }
        self.goodbyes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `listed` may be every address of this machine at once.
fn is_listed(listed: &[SocketAddr], here: SocketAddr) -> bool {
    listed.iter().any(|listed| {
        let ip = listed.ip();
        listed.port() == here.port()
            && (ip.is_unspecified() || ip.to_canonical() == here.ip().to_canonical())
    })
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Front<A> {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let settings = self.settings.load_full();
        let (_place, peer) = self.let_in(&mut stream, &settings).await?;
        let connection = Arc::new(Connection::new(peer));
        let guarded = Guarded::new(stream, Arc::clone(&connection), settings);
        let guarded = Box::new(guarded);
        let mut serving = pin!(lean::serve(&self.edge, &self.app, guarded, shutdown));
        // The stream below says that it is over in the midst of being polled from here.
        poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Pending if !connection.is_over() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
        None
    }

    async fn cleanup(&self) {
        self.app.http_cleanup().await;
    }
}

/// In which part of a request a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Between two requests.
    Idle,
    /// A request's head is arriving.
    Head,
    /// Its body is.
    Body,
    /// Nothing is expected of the client but to take the answer.
    Answer,
    /// Whatever is said, either way, is not ours.
    Tunnel,
}

/// A client's connection, as the stream below the parser and the hooks above it see it.
#[derive(Debug)]
pub struct Connection {
    /// Who is at the other end: who connected, or whom a PROXY header named.
    pub peer: Option<IpAddr>,
    phase: AtomicU8,
    over: AtomicBool,
}

impl Connection {
    fn new(peer: Option<IpAddr>) -> Connection {
        Connection {
            peer,
            phase: AtomicU8::new(Phase::Head as u8),
            over: AtomicBool::new(false),
        }
    }

    /// The one that `session` came on.
    pub fn of(session: &Session) -> Option<&Connection> {
        let kept = session
            .digest()?
            .proxy_digest
            .as_ref()?
            .user_data
            .as_ref()?;
        Some(kept.downcast_ref::<Arc<Connection>>()?.as_ref())
    }

    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Body,
            3 => Phase::Answer,
            _ => Phase::Tunnel,
        }
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
