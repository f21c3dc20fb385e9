//! State that one request carries through its life.

use super::forwarded::{Forwarded, Peer};
use super::in_flight::{InFlight, Passing};
use super::retry::Reach;
use super::transforms::Transforms;
use crate::plugin::Exchange;
use crate::proxy::chain::Chain;
use crate::proxy::door::Wire;
use crate::proxy::hygiene::Refusal;
use crate::proxy::route::Route;
use crate::proxy::settings::Settings;
use crate::proxy::tls::TlsFacts;
use crate::proxy::upstream::dial::Dial;
use crate::service::replica::fault::Fault;
use crate::service::replica::lease::Lease;
use bytes::Bytes;
use http::StatusCode;
use http::uri::Scheme;
use pingora::http::ResponseHeader;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Before its answer, a replica says no more than so many interim ones.
pub const INTERIM_ANSWERS_MAX: u32 = 32;

pub struct Context {
    /// The configuration this request began with; a reload does not change it under way.
    pub settings: Arc<Settings>,
    pub exchange: Exchange,
    /// The other end of the connection, be it the client or a proxy before us.
    pub peer: Option<Peer>,
    /// How the request came here: `https` where TLS ends with us.
    pub scheme: Scheme,
    /// Outcome of the connection's handshake, where TLS ends with us.
    pub tls: Option<Arc<TlsFacts>>,
    /// Headers about the client that its request is sent on with.
    pub forwarded: Forwarded,
    pub route: Option<Arc<Route>>,
    pub lease: Option<Lease>,
    /// Identity of the client, where its service balances by that.
    pub key: Option<Box<[u8]>>,
    pub attempts: u32,
    /// The replicas that failed this request, by generation; the last one may be at work on it.
    pub tried: Vec<u64>,
    pub started: Instant,
    /// How long it waited for a replica.
    pub held: Duration,
    pub request_body_bytes: u64,
    /// Transforms of the answer's body.
    pub transforms: Transforms,
    /// Head and body of the answer that a filter gave instead of the replica's, on Pingora's way.
    pub instead: Option<Box<(ResponseHeader, Bytes)>>,
    /// Counted where answers have a limit.
    pub response_body_bytes: u64,
    /// Interim answers of the attempt under way.
    pub interim_answers: u32,
    /// The status that a client of gRPC was told in its own words, under a 200.
    pub refused_with: Option<StatusCode>,
    /// Why it went no further.
    pub refused: Option<Refusal>,
    pub dial: Option<Arc<Dial>>,
    /// Of the attempt under way.
    pub reach: Reach,
    /// Why its tunnel was closed, when neither side did.
    pub cut: Option<String>,
    /// The last attempt that failed.
    pub fault: Option<Fault>,
    _in_flight: Passing,
}

impl Context {
    pub fn new(settings: Arc<Settings>, in_flight: &InFlight) -> Context {
        Context {
            settings,
            exchange: Exchange::default(),
            peer: None,
            scheme: Scheme::HTTP,
            tls: None,
            forwarded: Forwarded::default(),
            route: None,
            lease: None,
            key: None,
            attempts: 0,
            tried: Vec::new(),
            started: Instant::now(),
            held: Duration::ZERO,
            request_body_bytes: 0,
            transforms: Transforms::default(),
            instead: None,
            response_body_bytes: 0,
            interim_answers: 0,
            refused_with: None,
            refused: None,
            dial: None,
            reach: Reach::Nowhere,
            cut: None,
            fault: None,
            _in_flight: in_flight.enter(),
        }
    }

    /// Notes the connection that the request came on.
    pub fn came_on(&mut self, wire: &Wire) {
        self.peer = Some(wire.peer.clone());
        self.scheme = wire.scheme.clone();
        self.tls.clone_from(&wire.tls);
        self.exchange.tls = wire.tls.as_ref().map(|facts| facts.version.label());
    }

    /// Has the replica at work asked after its health at once, and passed over until then.
    pub fn doubt(&self) {
        if let Some(lease) = &self.lease {
            lease.replica().doubt.raise();
        }
    }

    /// Whether the replica at work is lost, and everybody knows.
    pub fn is_lost(&self) -> bool {
        let lease = self.lease.as_ref();
        lease.is_some_and(|lease| lease.replica().connections.is_lost())
    }

    /// Leaves the replica at work; the next attempt begins from the beginning.
    pub fn leave(&mut self) {
        self.lease = None;
        self.dial = None;
        self.reach = Reach::Nowhere;
        self.request_body_bytes = 0;
        self.interim_answers = 0;
    }

    /// The filters and observers for this request.
    pub fn chain(&self) -> &Chain {
        chain(self.route.as_deref(), &self.settings)
    }

    /// The filters, and the facts that they may change.
    pub fn filters(&mut self) -> (&Chain, &mut Exchange) {
        let chain = chain(self.route.as_deref(), &self.settings);
        (chain, &mut self.exchange)
    }
}

fn chain<'a>(route: Option<&'a Route>, settings: &'a Settings) -> &'a Chain {
    route.map_or(&settings.chain, |route| &route.chain)
}
