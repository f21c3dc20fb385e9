//! Facts about a client's connection, the same for all of its requests.

use super::bounds::Bounds;
use super::places::{Full, Place};
use crate::proxy::request::forwarded::Peer;
use crate::proxy::tls::TlsFacts;
use http::uri::Scheme;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A client's connection without what is read and written on it. Several requests at once may
/// share it, where the protocol knows such.
#[derive(Debug)]
pub struct Wire {
    /// The other end: the client that connected, or the one that a PROXY header named.
    pub peer: Peer,
    /// Our end.
    pub local: SocketAddr,
    /// `https` where TLS ends here.
    pub scheme: Scheme,
    /// Outcome of the handshake, where TLS ends here.
    pub tls: Option<Arc<TlsFacts>>,
    is_over: AtomicBool,
    place: Place,
}

impl Wire {
    /// A connection that has just been accepted.
    pub fn new(client: IpAddr, local: SocketAddr, place: Place) -> Wire {
        Wire {
            peer: Peer::from(client),
            local,
            scheme: Scheme::HTTP,
            tls: None,
            is_over: AtomicBool::new(false),
            place,
        }
    }

    /// Counts the connection for `client` as well, which was not known when it took its place.
    pub fn count_for(&mut self, client: IpAddr, bounds: &Bounds) -> Result<(), Full> {
        self.place.belongs_to(client, bounds)
    }

    /// Ends the connection from within: its task drops it after the poll under way.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}
