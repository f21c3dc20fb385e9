//! The door: who is let in, and what is said to those who are not.

use super::guarded::Guarded;
use super::places::{Full, Place, Places};
use super::{Bounds, Connection, Settings, proxy_header, words};
use crate::proxy::edge::{Edge, Tell};
use crate::proxy::ways::session;
use crate::service::event::{Barrier, Event};
use crate::service::network::any_contains;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
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

/// Lets connections in to `app`, as many as there is place for.
pub struct Front<A> {
    app: Arc<A>,
    edge: Edge,
    settings: Arc<ArcSwap<Settings>>,
    places: Arc<Places>,
    goodbyes: Arc<AtomicU32>,
    tell: Tell,
}

/// How many clients are connected, whether they ask for something or not.
#[derive(Clone)]
pub struct Connected(Arc<Places>);

impl Connected {
    pub fn count(&self) -> u32 {
        self.0.count()
    }
}

impl<A> Front<A> {
    pub fn new(app: A, edge: Edge, settings: Arc<ArcSwap<Settings>>, tell: Tell) -> Front<A> {
        Front {
            app: Arc::new(app),
            edge,
            settings,
            places: Arc::default(),
            goodbyes: Arc::default(),
            tell,
        }
    }

    pub fn connected(&self) -> Connected {
        Connected(Arc::clone(&self.places))
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

        // A trusted proxy carries many clients.
        let counted = |client: Option<IpAddr>| client.filter(|client| !is_trusted(*client));
        let says_who = here.is_some_and(|here| is_listed(&bounds.proxy_protocol, here));
        if says_who && !peer.is_some_and(is_trusted) {
            // One who may not say it is not heard either: it could only be a client's word.
            self.count(Barrier::Untrusted);
            return None;
        }
        let mut place = match self.places.take(counted(peer), bounds) {
            Ok(place) => place,
            Err(full) => return self.turn_away(stream, full).await,
        };
        if !says_who {
            return Some((place, peer));
        }
        let Some(named) = named(stream, bounds).await else {
            self.count(Barrier::ProxyHeader);
            return None;
        };
        let client = named.or(peer);
        if let Some(client) = counted(client)
            && let Err(full) = place.belongs_to(client, bounds)
        {
            drop(place);
            return self.turn_away(stream, full).await;
        }
        Some((place, client))
    }

    fn count(&self, reason: Barrier) {
        (self.tell)(&Event::TurnedAway { reason });
    }

    async fn turn_away<T>(&self, stream: &mut Stream, full: Full) -> Option<T> {
        self.count(full.barrier());
        Box::pin(self.say_goodbye(stream, full)).await;
        None
    }

    async fn say_goodbye(&self, stream: &mut Stream, full: Full) {
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

/// Whom a PROXY header names. The outer `None`: there was none that could be read.
async fn named(stream: &mut Stream, bounds: &Bounds) -> Option<Option<IpAddr>> {
    let read = Box::pin(proxy_header::read(stream));
    let named = timeout(bounds.header_timeout, read).await.ok()?.ok()?;
    Some(named.map(|named| named.ip().to_canonical()))
}

/// `listed` may be every address of this machine at once.
fn is_listed(listed: &[SocketAddr], here: SocketAddr) -> bool {
    listed.iter().any(|listed| {
        let ip = listed.ip();
        listed.port() == here.port()
            && (ip.is_unspecified() || ip.to_canonical() == here.ip().to_canonical())
    })
}

impl<A: HttpServerApp> Front<A> {
    async fn serve(
        &self,
        stream: Stream,
        peer: Option<IpAddr>,
        settings: Arc<Settings>,
        shutdown: &ShutdownWatch,
    ) {
        let connection = Arc::new(Connection::new(peer));
        let guarded = Box::new(Guarded::new(stream, Arc::clone(&connection), settings));
        let mut serving = pin!(session::serve(&self.edge, &self.app, guarded, shutdown));
        // The stream below says that it is over in the midst of being polled from here.
        poll_fn(|cx| match serving.as_mut().poll(cx) {
            Poll::Pending if !connection.is_over() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Front<A> {
    async fn process_new(
        self: &Arc<Self>,
        mut stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let settings = self.settings.load_full();
        let (place, peer) = Box::pin(self.let_in(&mut stream, &settings)).await?;
        let (front, shutdown) = (Arc::clone(self), shutdown.clone());
        // Pingora's task has room for a handshake, some 9 KiB, until the connection ends.
        tokio::spawn(async move {
            let _place = place;
            front.serve(stream, peer, settings, &shutdown).await;
        });
        None
    }

    async fn cleanup(&self) {
        self.app.http_cleanup().await;
    }
}
